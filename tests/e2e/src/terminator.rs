//! A TLS terminator beside Envoy, which tells it of each connection in the PROXY protocol v2.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection};
use tls_session_binding_client::http::trust_anchors;
use tls_session_binding_client::signer::certificates_from_pem_file;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::Result;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const VERSION_2_PROXY: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const EXPORTER: u8 = 0xe0;
const CLIENT_CERTIFICATE: u8 = 0xe1;

/// A running terminator.
#[derive(Debug)]
pub struct Terminator {
    /// Where it listens.
    pub address: SocketAddr,
    server: JoinHandle<()>,
}

impl Terminator {
    /// Terminates mutual TLS with the `server` certificate of `pki`, in front of `envoy`.
    ///
    /// # Errors
    /// When certificates cannot be read or no port is free.
    pub async fn start(pki: &Path, envoy: SocketAddr) -> Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(config(pki)?));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(forward(acceptor.clone(), stream, envoy));
            }
        });
        Ok(Self { address, server })
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn config(pki: &Path) -> Result<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let trusted = Arc::new(trust_anchors(&pki.join("ca.pem"))?);
    let clients =
        WebPkiClientVerifier::builder_with_provider(trusted, Arc::clone(&provider)).build()?;
    let chain = certificates_from_pem_file(&pki.join("server.pem"))?;
    let key = PrivateKeyDer::from_pem_file(pki.join("server.key"))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

async fn forward(acceptor: TlsAcceptor, stream: TcpStream, envoy: SocketAddr) -> Result<()> {
    let mut downstream = acceptor.accept(stream).await?;
    let header = proxy_header(downstream.get_ref().1)?;
    let mut upstream = TcpStream::connect(envoy).await?;
    upstream.write_all(&header).await?;
    tokio::io::copy_bidirectional(&mut downstream, &mut upstream).await?;
    Ok(())
}

/// The PROXY protocol v2 header of a connection: addresses, exporter value, client certificate.
fn proxy_header(connection: &ServerConnection) -> Result<Vec<u8>> {
    let exporter = tls_session_binding_client::exporter::of(connection)?.to_base64url();
    let leaf = connection
        .peer_certificates()
        .and_then(<[_]>::first)
        .ok_or("no certificate")?;
    let mut rest = vec![127, 0, 0, 1, 127, 0, 0, 1, 0x30, 0x39, 0x20, 0xfb];
    for (kind, value) in [
        (EXPORTER, exporter),
        (CLIENT_CERTIFICATE, STANDARD.encode(leaf)),
    ] {
        rest.push(kind);
        rest.extend(u16::try_from(value.len())?.to_be_bytes());
        rest.extend(value.as_bytes());
    }
    let mut header = SIGNATURE.to_vec();
    header.extend([VERSION_2_PROXY, TCP_OVER_IPV4]);
    header.extend(u16::try_from(rest.len())?.to_be_bytes());
    header.extend(rest);
    Ok(header)
}
