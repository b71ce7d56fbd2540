//! Opens mTLS connections.

use std::path::Path;
use std::sync::Arc;

use http::Uri;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::TlsConnector;

use super::error::{CONNECT_TIMEOUT, HttpError};
use super::options::Options;
use super::server::BySpiffeId;
use super::session::Session;

use crate::signer::{Signer, certificates_from_pem_file};

const HTTPS_PORT: u16 = 443;

/// Opens connections with one client certificate; they resume each other's TLS sessions.
#[derive(Clone)]
pub struct Connector {
    tls: TlsConnector,
    options: Options,
    signer: Arc<Signer>,
}

impl Connector {
    /// A connector that presents the signer's certificate and trusts servers of `trusted`.
    ///
    /// # Errors
    /// [`HttpError::Configuration`] when rustls refuses the configuration.
    pub fn new(
        signer: Arc<Signer>,
        trusted: RootCertStore,
        options: Options,
    ) -> Result<Self, HttpError> {
        let certificate: Arc<dyn ResolvesClientCert> =
            Arc::new(SingleCertAndKey::from(Arc::clone(signer.certified_key())));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[options.tls.supported()])
            .map_err(HttpError::Configuration)?;
        let builder = match options.server_spiffe_id.clone() {
            None => builder.with_root_certificates(trusted),
            Some(id) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(BySpiffeId {
                    id,
                    trusted,
                    algorithms,
                })),
        };
        let mut config = builder.with_client_cert_resolver(certificate);
        config.require_ems = true;
        config.alpn_protocols = options.http.alpn();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            options,
            signer,
        })
    }

    /// The certificate and key that it presents.
    #[must_use]
    pub fn signer(&self) -> &Arc<Signer> {
        &self.signer
    }

    /// Connects to the host and port of a URL.
    ///
    /// # Errors
    /// The variants of [`HttpError`] that speak of URL and connection.
    pub async fn connect(&self, url: &Uri) -> Result<Session, HttpError> {
        let host = host(url)?;
        self.connect_to((host, url.port_u16().unwrap_or(HTTPS_PORT)), url)
            .await
    }

    /// Connects to `address`, and expects the host of the URL there, or whom the options name.
    ///
    /// # Errors
    /// The variants of [`HttpError`] that speak of URL and connection.
    pub async fn connect_to(
        &self,
        address: impl ToSocketAddrs,
        url: &Uri,
    ) -> Result<Session, HttpError> {
        let host = host(url)?;
        let name = match &self.options.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(|_| HttpError::Url)?,
        };
        tokio::time::timeout(CONNECT_TIMEOUT, self.open(address, name))
            .await
            .map_err(|_| HttpError::TimedOut(CONNECT_TIMEOUT))?
    }

    async fn open(
        &self,
        address: impl ToSocketAddrs,
        name: ServerName<'static>,
    ) -> Result<Session, HttpError> {
        let tcp = TcpStream::connect(address)
            .await
            .map_err(HttpError::Connect)?;
        tcp.set_nodelay(true).map_err(HttpError::Connect)?;
        let tls = self
            .tls
            .connect(name, tcp)
            .await
            .map_err(HttpError::Connect)?;
        Session::start(tls, self.options.http, Arc::clone(&self.signer)).await
    }
}

/// Reads the CA certificates that servers are trusted by.
///
/// # Errors
/// [`HttpError::Certificates`] or [`HttpError::Configuration`] when the file does not hold them.
pub fn trust_anchors(pem_file: &Path) -> Result<RootCertStore, HttpError> {
    let mut trusted = RootCertStore::empty();
    for certificate in certificates_from_pem_file(pem_file)? {
        trusted.add(certificate).map_err(HttpError::Configuration)?;
    }
    Ok(trusted)
}

/// The host of a URL that this client can open.
fn host(url: &Uri) -> Result<&str, HttpError> {
    let has_user = url
        .authority()
        .is_none_or(|authority| authority.as_str().contains('@'));
    match url.host() {
        Some(host) if url.scheme_str() == Some("https") && !has_user => {
            Ok(host.trim_start_matches('[').trim_end_matches(']'))
        }
        _ => Err(HttpError::Url),
    }
}
