//! The service behind Envoy: it answers with what it got.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, interval_at};

use crate::Result;

/// The path that is answered with the request's body, trailers included, as it comes in.
pub const MIRROR: &str = "/mirror";
/// The path below which a number of seconds is answered with as many lines, one each second.
pub const DRIP: &str = "/drip/";

const SECOND: Duration = Duration::from_secs(1);

/// An HTTP/1.1 and HTTP/2 cleartext server that echoes method, path and headers as JSON.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<AtomicU64>,
    server: JoinHandle<()>,
}

impl Upstream {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let requests = Arc::new(AtomicU64::new(0));
        let address = listener.local_addr()?;
        let server = tokio::spawn(accept(listener, Arc::clone(&requests)));
        Ok(Self {
            address,
            requests,
            server,
        })
    }

    /// How many requests have arrived.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, requests: Arc<AtomicU64>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&requests)));
    }
}

async fn serve(stream: TcpStream, requests: Arc<AtomicU64>) {
    let service = service_fn(move |request| {
        requests.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, Infallible>(Response::new(answer(request))) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(request: Request<Incoming>) -> Either<Full<Bytes>, Either<Incoming, Drip>> {
    if request.uri().path() == MIRROR {
        return Either::Right(Either::Left(request.into_body()));
    }
    let drip = request.uri().path().strip_prefix(DRIP);
    match drip.and_then(|seconds| seconds.parse().ok()) {
        Some(seconds) => Either::Right(Either::Right(Drip::of(seconds))),
        None => Either::Left(Full::new(echo(&request))),
    }
}

/// A body that comes slowly.
struct Drip {
    left: u32,
    clock: Interval,
}

impl Drip {
    fn of(seconds: u32) -> Self {
        let first = Instant::now() + SECOND;
        Self {
            left: seconds,
            clock: interval_at(first, SECOND),
        }
    }
}

impl Body for Drip {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, hyper::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.clock.poll_tick(context));
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data: tick\n\n")))))
    }
}

fn echo(request: &Request<Incoming>) -> Bytes {
    let mut headers = Map::new();
    for name in request.headers().keys() {
        let values: Vec<_> = request
            .headers()
            .get_all(name)
            .iter()
            .map(|value| printable(value.as_bytes()))
            .collect();
        headers.insert(name.to_string(), Value::String(values.join(", ")));
    }
    let answer = json!({
        "method": request.method().as_str(),
        "path": request.uri().path_and_query().map(ToString::to_string),
        "headers": headers,
    });
    Bytes::from(format!("{answer:#}\n"))
}

fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
