//! An application that knows its token and nothing else, and speaks plain HTTP to its sidecar.

use std::net::SocketAddr;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tls_session_binding_client::http::HttpVersion;
use tokio::net::TcpStream;

use crate::Result;

/// One cleartext connection of the application.
#[derive(Debug)]
pub struct Application(Sender);

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Application {
    /// Connects to the sidecar.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub async fn connect(address: SocketAddr, version: HttpVersion) -> Result<Self> {
        let stream = TokioIo::new(TcpStream::connect(address).await?);
        Ok(Self(match version {
            HttpVersion::Any | HttpVersion::Http1 => {
                let (sender, connection) = http1::handshake(stream).await?;
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            HttpVersion::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        }))
    }

    /// Sends a request as it is, and reads the whole answer.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn send(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let (parts, body) = self.answer(request).await?.into_parts();
        Ok(Response::from_parts(
            parts,
            body.collect().await?.to_bytes(),
        ))
    }

    async fn answer(&mut self, request: Request<Bytes>) -> Result<Response<Incoming>> {
        let request = request.map(Full::new);
        Ok(match &mut self.0 {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(in_origin_form(request)?).await?
            }
            Sender::Http2(sender) => sender.send_request(request).await?,
        })
    }
}

/// HTTP/1.1 to a server names the host in a header, not in the target.
fn in_origin_form(mut request: Request<Full<Bytes>>) -> Result<Request<Full<Bytes>>> {
    let host = request
        .uri()
        .authority()
        .ok_or("a URL without host")?
        .as_str();
    let host = host.parse()?;
    request.headers_mut().insert("host", host);
    let path = request.uri().path_and_query().ok_or("a URL without path")?;
    *request.uri_mut() = path.as_str().parse()?;
    Ok(request)
}
