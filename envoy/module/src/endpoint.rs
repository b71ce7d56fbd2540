//! What one listener or cluster uses for its connections.

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{Connection, Error, RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Config, Direction, Mistakes, Presence};

/// A loaded configuration, shared by its connections on all workers.
pub struct Endpoint {
    server: Arc<ServerConfig>,
}

impl Endpoint {
    /// Reads the configuration and the files that it names.
    ///
    /// # Errors
    /// All mistakes of the configuration, or what is wrong with the files.
    pub fn load(name: &[u8], config: &[u8], is_upstream: bool) -> Result<Self, Mistakes> {
        if name != b"tls" {
            return Err(Mistakes::one(
                "transport_socket_name: the socket is `tls`".to_owned(),
            ));
        }
        let direction = if is_upstream {
            Direction::Upstream
        } else {
            Direction::Downstream
        };
        let config = Config::parse(config, direction)?;
        if is_upstream {
            return Err(Mistakes::one(
                "the socket serves downstream connections only".to_owned(),
            ));
        }
        Ok(Self {
            server: Arc::new(server(&config)?),
        })
    }

    /// A new connection.
    ///
    /// # Errors
    /// None that a loaded configuration allows.
    pub fn open(&self) -> Result<Connection, Error> {
        Ok(Connection::Server(ServerConnection::new(Arc::clone(
            &self.server,
        ))?))
    }
}

fn server(config: &Config) -> Result<ServerConfig, Mistakes> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let (chain, key) = identity(config)?;
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&config.tls.versions)
        .map_err(|error| mistake("tls", error))?
        .with_client_cert_verifier(client_verifier(config)?)
        .with_single_cert(chain, key)
        .map_err(|error| mistake("identity", error))?;
    server.alpn_protocols = config
        .tls
        .alpn
        .iter()
        .map(|name| name.clone().into_bytes())
        .collect();
    // Without the extended master secret an exporter value of TLS 1.2 binds nothing (RFC 9266).
    server.require_ems = true;
    Ok(server)
}

fn identity(
    config: &Config,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Mistakes> {
    let pem = read(
        "identity.certificate_chain",
        &config.identity.certificate_chain,
    )?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| mistake("identity.certificate_chain", error))?;
    let pem = read("identity.private_key", &config.identity.private_key)?;
    // The error of the parser is not shown: it may quote the file.
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| mistake("identity.private_key", "holds no private key in PEM"))?;
    Ok((chain, key))
}

fn client_verifier(config: &Config) -> Result<Arc<dyn ClientCertVerifier>, Mistakes> {
    let pem = read("peer.ca", &config.peer.ca)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| mistake("peer.ca", error))?;
        roots
            .add(certificate)
            .map_err(|error| mistake("peer.ca", error))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if config.peer.certificate == Presence::Optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| mistake("peer.ca", error))
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, Mistakes> {
    fs::read(path).map_err(|error| mistake(key, format!("{}: {error}", path.display())))
}

fn mistake(key: &str, what: impl Display) -> Mistakes {
    Mistakes::one(format!("{key}: {what}"))
}
