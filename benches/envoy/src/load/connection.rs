//! One connection of the load.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use mio::{Interest, Registry, Token};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection};
use tls_session_binding_client::http::trust_anchors;
use tls_session_binding_client::signer::Signer;
use tls_session_binding_client::{ExporterValue, exporter};
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::SERVICE;

use super::{Protocol, http1, http2};

/// How connections of the load are made: TLS 1.3 with one cipher suite and one key exchange, so that they
/// are the same with every listener.
///
/// # Errors
/// When the authority in `pki` cannot be read.
pub fn config(
    pki: &Path,
    signer: &Signer,
    protocol: Protocol,
    resumption: Resumption,
) -> Result<Arc<ClientConfig>> {
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let certificate = SingleCertAndKey::from(Arc::clone(signer.certified_key()));
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(trust_anchors(&pki.join("ca.pem"))?)
        .with_client_cert_resolver(Arc::new(certificate));
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    config.resumption = resumption;
    Ok(Arc::new(config))
}

/// Opens a TCP connection and does the handshake; the socket blocks.
///
/// # Errors
/// When there is no connection to be had.
pub fn handshake(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> Result<(TcpStream, ClientConnection)> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let mut tls = ClientConnection::new(config, ServerName::try_from(SERVICE)?)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut socket)?;
    }
    Ok((socket, tls))
}

/// An open connection that never blocks.
pub struct Connection {
    socket: mio::net::TcpStream,
    /// None in the clear.
    tls: Option<ClientConnection>,
    protocol: Protocol,
    input: Vec<u8>,
    output: Vec<u8>,
    next_stream: u32,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub fn open(
        address: SocketAddr,
        config: Arc<ClientConfig>,
        protocol: Protocol,
    ) -> Result<Self> {
        let (socket, tls) = handshake(address, config)?;
        Self::over(socket, Some(tls), protocol)
    }

    /// Connects in the clear, as an application does to its sidecar.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub fn open_clear(address: SocketAddr, protocol: Protocol) -> Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        Self::over(socket, None, protocol)
    }

    fn over(socket: TcpStream, tls: Option<ClientConnection>, protocol: Protocol) -> Result<Self> {
        socket.set_nonblocking(true)?;
        let output = match protocol {
            Protocol::Http1 => Vec::new(),
            Protocol::Http2 => http2::PREFACE.to_vec(),
        };
        let mut connection = Self {
            socket: mio::net::TcpStream::from_std(socket),
            tls,
            protocol,
            input: Vec::new(),
            output,
            next_stream: 1,
        };
        connection.flush()?;
        Ok(connection)
    }

    /// Tells `registry` to wake for this connection.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn register(&mut self, registry: &Registry, token: Token) -> Result<()> {
        Ok(registry.register(&mut self.socket, token, Interest::READABLE)?)
    }

    /// The exporter value of the connection.
    ///
    /// # Errors
    /// When TLS does not give it.
    pub fn exporter(&self) -> Result<ExporterValue> {
        let tls = self.tls.as_ref().ok_or("a connection in the clear")?;
        Ok(exporter::of(tls)?)
    }

    /// Queues a request, as [`Protocol::encode`] made it.
    pub fn push(&mut self, request: &[u8]) {
        match self.protocol {
            Protocol::Http1 => self.output.extend_from_slice(request),
            Protocol::Http2 => {
                http2::push_request(&mut self.output, self.next_stream, request);
                self.next_stream += 2;
            }
        }
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// When the connection does not take it at once.
    pub fn flush(&mut self) -> Result<()> {
        while !self.output.is_empty() {
            let taken = match &mut self.tls {
                None => self.socket.write(&self.output)?,
                Some(tls) => {
                    let taken = tls.writer().write(&self.output)?;
                    while tls.wants_write() {
                        tls.write_tls(&mut self.socket)?;
                    }
                    taken
                }
            };
            self.output.drain(..taken);
        }
        Ok(())
    }

    /// Receives what has arrived; the result is how many responses it completed.
    ///
    /// # Errors
    /// When the connection is closed, or a response is not the expected one.
    pub fn receive(&mut self) -> Result<usize> {
        match &mut self.tls {
            None => while read(|| read_chunk(&mut self.socket, &mut self.input))? {},
            Some(tls) => {
                while read(|| tls.read_tls(&mut self.socket))? {
                    tls.process_new_packets()?;
                }
                // It has been read to its end for now.
                read(|| tls.reader().read_to_end(&mut self.input).map(|_| 1))?;
            }
        }
        let mut responses = 0;
        match self.protocol {
            Protocol::Http1 => {
                while http1::take_response(&mut self.input)? {
                    responses += 1;
                }
            }
            Protocol::Http2 => {
                responses = http2::take_responses(&mut self.input, &mut self.output)?;
            }
        }
        self.flush()?;
        Ok(responses)
    }
}

/// Reads once; whether there was anything to read.
fn read(read: impl FnOnce() -> io::Result<usize>) -> Result<bool> {
    match read() {
        Ok(0) => Err("Envoy has closed a connection".into()),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn read_chunk(socket: &mut mio::net::TcpStream, input: &mut Vec<u8>) -> io::Result<usize> {
    let mut chunk = [0; 16 << 10];
    let length = socket.read(&mut chunk)?;
    input.extend_from_slice(chunk.get(..length).unwrap_or_default());
    Ok(length)
}
