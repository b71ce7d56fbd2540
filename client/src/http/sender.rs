//! The HTTP side of a connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, watch};
use tokio_rustls::client::TlsStream;

use super::error::{HttpError, MAX_RESPONSE_BYTES};
use super::options::HttpVersion;

/// Time to learn why a connection ended, once it is known to have ended.
const CAUSE_TIMEOUT: Duration = Duration::from_millis(100);

/// A request's body: whole, or as it comes.
pub type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A body that is there already.
#[must_use]
pub fn whole(body: Bytes) -> Body {
    Full::new(body)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Why a request has no response.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub error: HttpError,
    /// The request as it was, if no byte of it was sent: it may go out on another connection.
    pub unsent: Option<Request<Body>>,
}

/// Sends requests of absolute URLs on one connection.
pub(super) struct Sender {
    requests: Requests,
    ended: watch::Receiver<Option<Arc<hyper::Error>>>,
}

enum Requests {
    Http1(Mutex<http1::SendRequest<Body>>),
    Http2(http2::SendRequest<Body>),
}

impl Sender {
    /// Starts HTTP of the version chosen by ALPN, and drives the connection until it ends.
    pub(super) async fn start(
        tls: TlsStream<TcpStream>,
        wanted: HttpVersion,
    ) -> Result<Self, HttpError> {
        let is_http2 = match (wanted, tls.get_ref().1.alpn_protocol()) {
            (HttpVersion::Any | HttpVersion::Http2, Some(b"h2")) => true,
            (HttpVersion::Any | HttpVersion::Http1, Some(b"http/1.1") | None) => false,
            _ => return Err(HttpError::Alpn),
        };
        let io = TokioIo::new(tls);
        if is_http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io)
                .await
                .map_err(HttpError::Exchange)?;
            Ok(Self {
                requests: Requests::Http2(sender),
                ended: drive(connection),
            })
        } else {
            let (sender, connection) = http1::handshake(io).await.map_err(HttpError::Exchange)?;
            Ok(Self {
                requests: Requests::Http1(Mutex::new(sender)),
                ended: drive(connection.with_upgrades()),
            })
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self.requests, Requests::Http2(_))
    }

    pub(super) fn is_closed(&self) -> bool {
        match &self.requests {
            Requests::Http1(sender) => sender.try_lock().is_ok_and(|sender| sender.is_closed()),
            Requests::Http2(sender) => sender.is_closed(),
        }
    }

    /// Whether a request could go out at once.
    pub(super) fn is_ready(&self) -> bool {
        match &self.requests {
            Requests::Http1(sender) => sender.try_lock().is_ok_and(|sender| sender.is_ready()),
            Requests::Http2(sender) => sender.is_ready(),
        }
    }

    /// Sends a request and reads the whole response.
    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let response = self.forward(request.map(whole)).await;
        let (parts, body) = response.map_err(|failure| failure.error)?.into_parts();
        let body = Limited::new(body, MAX_RESPONSE_BYTES)
            .collect()
            .await
            .map_err(|error| HttpError::Body(error.to_string()))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }

    /// Sends a request; the response's body is still to come.
    pub(super) async fn forward(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, Failure> {
        let sent = match &self.requests {
            Requests::Http1(sender) => {
                let request = origin_form(request)?;
                let mut sender = sender.lock().await;
                match sender.ready().await {
                    Ok(()) => sender.try_send_request(request).await,
                    Err(error) => return Err(self.failure(error, Some(request)).await),
                }
            }
            Requests::Http2(sender) => {
                let mut sender = sender.clone();
                match sender.ready().await {
                    Ok(()) => sender.try_send_request(request).await,
                    Err(error) => return Err(self.failure(error, Some(request)).await),
                }
            }
        };
        match sent {
            Ok(response) => Ok(response),
            Err(error) => Err(self.refused(error).await),
        }
    }

    async fn refused(&self, mut refused: TrySendError<Request<Body>>) -> Failure {
        let unsent = refused.take_message();
        self.failure(refused.into_error(), unsent).await
    }

    async fn failure(&self, error: hyper::Error, unsent: Option<Request<Body>>) -> Failure {
        let error = if error.is_closed() || error.is_canceled() {
            HttpError::Closed(self.cause().await)
        } else {
            HttpError::Exchange(error)
        };
        Failure { error, unsent }
    }

    async fn cause(&self) -> Option<Arc<hyper::Error>> {
        let mut ended = self.ended.clone();
        let told = tokio::time::timeout(CAUSE_TIMEOUT, ended.wait_for(Option::is_some)).await;
        told.ok()?.ok()?.clone()
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self {
            error,
            unsent: None,
        }
    }
}

/// Runs a connection in the background; tells with what error it ended.
fn drive(
    connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
) -> watch::Receiver<Option<Arc<hyper::Error>>> {
    let (tell, ended) = watch::channel(None);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tell.send_replace(Some(Arc::new(error)));
        }
    });
    ended
}

/// HTTP/1.1 sends path and query, and the host in its header.
fn origin_form(mut request: Request<Body>) -> Result<Request<Body>, HttpError> {
    let authority = request.uri().authority().ok_or(HttpError::Url)?.as_str();
    let host = HeaderValue::from_str(authority).map_err(|_| HttpError::Url)?;
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    *request.uri_mut() = target.parse().map_err(|_| HttpError::Url)?;
    request.headers_mut().entry(HOST).or_insert(host);
    Ok(request)
}
