//! Where applications connect.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

use super::forward::Proxy;
use crate::Outcome;

/// Connections of applications at once. Our own bound: each may have `STREAMS` requests under way.
const MAX_CLIENTS: usize = 1024;
const STREAMS: u32 = 200;
const HEAD_BYTES: u32 = 64 << 10;
/// Time for a request's head to come.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept, which is mostly for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// An open port or socket.
pub(super) enum Listener {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, SocketFile),
}

/// A socket's name in the file system, which goes with it.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Both kinds of stream.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Listener {
    /// Opens `HOST:PORT` or `unix:PATH`.
    pub(super) async fn bind(place: &str, anywhere: bool) -> Outcome<Self> {
        if let Some(path) = place.strip_prefix("unix:") {
            return Self::bind_socket(Path::new(path));
        }
        let failed = |error| format!("cannot listen on {place}: {error}");
        let addresses: Vec<_> = tokio::net::lookup_host(place)
            .await
            .map_err(failed)?
            .collect();
        let is_local = addresses.iter().all(|address| address.ip().is_loopback());
        if !is_local && !anywhere {
            return Err(format!(
                "{place} is not loopback: whoever reaches it speaks with this key (--listen-anywhere allows it)"
            )
            .into());
        }
        let listener = TcpListener::bind(addresses.as_slice())
            .await
            .map_err(failed)?;
        let address = listener.local_addr()?;
        Ok(Self::Tcp(listener, address))
    }

    fn bind_socket(path: &Path) -> Outcome<Self> {
        let is_socket = |path: &Path| {
            std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
        };
        // One that nobody answers at was left by a process that was killed.
        if is_socket(path) && std::os::unix::net::UnixStream::connect(path).is_err() {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)
            .map_err(|error| format!("cannot listen on {}: {error}", path.display()))?;
        let file = SocketFile(path.to_owned());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self::Unix(listener, file))
    }

    /// How requests may call it: as it was asked for, and by its address. None for a socket, which no web page reaches.
    pub(super) fn hosts(&self, asked: &str) -> Option<Vec<String>> {
        match self {
            Self::Unix(..) => None,
            Self::Tcp(_, address) => {
                let host = asked.rsplit_once(':').map_or(asked, |(host, _)| host);
                Some(vec![
                    address.to_string(),
                    format!("{host}:{}", address.port()),
                ])
            }
        }
    }

    pub(super) async fn accept(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener, _) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Self::Unix(listener, _) => Box::new(listener.accept().await?.0),
        })
    }

    /// Serves until `end`, then lets what is under way come to its end for `limit`. Tells whether it did.
    pub(super) async fn serve(
        self,
        proxy: Arc<Proxy>,
        end: impl Future<Output = ()>,
        limit: Duration,
    ) -> bool {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(MAX_CLIENTS));
        tokio::pin!(end);
        loop {
            let accepted = tokio::select! {
                () = &mut end => break,
                accepted = async {
                    let place = Arc::clone(&places).acquire_owned().await;
                    (self.accept().await, place)
                } => accepted,
            };
            let (Ok(stream), Ok(place)) = accepted else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let service = Arc::clone(&proxy);
            let connection = server()
                .serve_connection_with_upgrades(
                    TokioIo::new(stream),
                    service_fn(move |request| {
                        let proxy = Arc::clone(&service);
                        async move { Ok::<_, Infallible>(proxy.answer(request).await) }
                    }),
                )
                .into_owned();
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                let _ = connection.await;
                drop(place);
            });
        }
        drop(self);
        let ended = async {
            graceful.shutdown().await;
            proxy.metrics.nothing_under_way().await;
        };
        tokio::time::timeout(limit, ended).await.is_ok()
    }
}

fn server() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES as usize);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES);
    server
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(_, address) => address.fmt(f),
            Self::Unix(_, file) => write!(f, "unix:{}", file.0.display()),
        }
    }
}
