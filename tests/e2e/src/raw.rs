//! Bytes over TLS that no HTTP library would send.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier, client::WantsClientCert};
use tls_session_binding_client::ExporterValue;
use tls_session_binding_client::http::trust_anchors;
use tls_session_binding_client::signer::Signer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Result;
use crate::ask::SERVICE;

const PATIENCE: Duration = Duration::from_secs(10);

/// A TLS connection that speaks HTTP/1.1 only as far as the test does.
pub struct RawConnection(TlsStream<TcpStream>);

impl RawConnection {
    /// Connects with the signer's certificate, or with none.
    ///
    /// # Errors
    /// When connection or handshake fail.
    pub async fn open(address: SocketAddr, pki: &Path, signer: Option<&Signer>) -> Result<Self> {
        let config = Arc::new(config(pki, signer)?);
        let stream = TcpStream::connect(address).await?;
        let handshake = TlsConnector::from(config).connect(ServerName::try_from(SERVICE)?, stream);
        Ok(Self(tokio::time::timeout(PATIENCE, handshake).await??))
    }

    /// The exporter value of the connection.
    ///
    /// # Errors
    /// When TLS does not give it.
    pub fn exporter(&self) -> Result<ExporterValue> {
        Ok(tls_session_binding_client::exporter::of(
            self.0.get_ref().1,
        )?)
    }

    /// Sends no more: TLS close alert and TCP FIN.
    ///
    /// # Errors
    /// When the connection has ended before.
    pub async fn half_close(&mut self) -> Result<()> {
        Ok(self.0.shutdown().await?)
    }

    /// Writes `bytes` as they are and reads until `responses` responses are complete or the other
    /// side closes.
    ///
    /// # Errors
    /// When nothing comes back, or not enough in time.
    pub async fn exchange(&mut self, bytes: &[u8], responses: usize) -> Result<String> {
        self.0.write_all(bytes).await?;
        let mut answer = Vec::new();
        let read = async {
            while complete_responses(&answer) < responses {
                if self.0.read_buf(&mut answer).await? == 0 {
                    break;
                }
            }
            Ok::<_, std::io::Error>(())
        };
        match tokio::time::timeout(PATIENCE, read).await? {
            Err(error) if answer.is_empty() => Err(error.into()),
            _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
        }
    }
}

/// How many responses with a `Content-Length` stand at the beginning of `bytes`.
fn complete_responses(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.as_ref();
    let mut complete = 0;
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let body = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        let Some(next) = after.get(body..) else { break };
        rest = next;
        complete += 1;
    }
    complete
}

fn config(pki: &Path, signer: Option<&Signer>) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder: ConfigBuilder<ClientConfig, WantsVerifier> =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder: ConfigBuilder<ClientConfig, WantsClientCert> =
        builder.with_root_certificates(trust_anchors(&pki.join("ca.pem"))?);
    Ok(match signer {
        None => builder.with_no_client_auth(),
        Some(signer) => {
            let certificate = SingleCertAndKey::from(Arc::clone(signer.certified_key()));
            let certificate: Arc<dyn ResolvesClientCert> = Arc::new(certificate);
            builder.with_client_cert_resolver(certificate)
        }
    })
}
