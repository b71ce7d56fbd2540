//! Connections that are opened for one request and closed.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use tls_session_binding_client::{ExporterValue, exporter};
use tls_session_binding_e2e::Result;

use super::{connection, http1};

/// Opens a connection, sends the HTTP/1.1 request that `make` makes for it, receives the response and
/// closes. The result is whether the handshake was resumed.
///
/// # Errors
/// When there is no connection to be had, or not the expected answer.
pub fn visit(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    make: impl FnOnce(&ExporterValue) -> Result<Box<[u8]>>,
) -> Result<bool> {
    let (mut socket, mut tls) = connection::handshake(address, Arc::clone(config))?;
    let request = make(&exporter::of(&tls)?)?;
    let mut stream = rustls::Stream::new(&mut tls, &mut socket);
    stream.write_all(&request)?;
    let mut input = Vec::new();
    while !http1::take_response(&mut input)? {
        let mut chunk = [0; 1024];
        let length = stream.read(&mut chunk)?;
        input.extend_from_slice(chunk.get(..length).unwrap_or_default());
        if length == 0 {
            return Err("Envoy has closed the connection".into());
        }
    }
    let resumed = is_resumed(&tls);
    tls.send_close_notify();
    tls.complete_io(&mut socket)?;
    Ok(resumed)
}

fn is_resumed(tls: &ClientConnection) -> bool {
    tls.handshake_kind() == Some(HandshakeKind::Resumed)
}
