//! `session-binding proxy`: the sidecar of an application that knows its token, or not even that.

mod activity;
mod fault;
mod forward;
mod listen;
mod metrics;
mod pool;
mod request;
mod tunnel;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::Uri;
use rustls::pki_types::ServerName;
use tls_session_binding_client::http::{
    FileConnector, HttpVersion, Options, Proving, SpiffeId, TlsVersion,
};
use tokio::signal::unix::{SignalKind, signal};

use self::forward::Proxy;
use self::listen::Listener;
use self::metrics::Metrics;
use self::pool::Pool;
use self::request::{Application, PathPrefix};
use crate::{ClientIdentity, Outcome};

const FILES_INTERVAL: Duration = Duration::from_secs(1);

/// Stand beside an application: plain HTTP in, mutual TLS with proofs out.
///
/// HTTP/1.1 and HTTP/2 (prior knowledge) on loopback or a Unix socket. Each request goes out with the proof of the
/// connection that carries it. Certificate, key, CA certificates and token are read again when their files change.
/// SIGTERM ends it when what is under way has been answered.
#[derive(Args)]
pub(crate) struct ProxyArguments {
    /// Where applications connect: a loopback address and port, or unix:PATH.
    #[arg(long, value_name = "HOST:PORT|unix:PATH")]
    listen: String,
    /// Allow other addresses than loopback: whoever reaches them speaks with this key.
    #[arg(long)]
    listen_anywhere: bool,
    /// The service: `https://HOST[:PORT]`.
    #[arg(long, value_name = "URL", value_parser = upstream)]
    upstream: Uri,
    /// Connect there instead of to the host of the service's URL.
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    #[command(flatten)]
    identity: ClientIdentity,
    /// CA certificates that the service is trusted by (PEM).
    #[arg(long, value_name = "FILE")]
    cacert: PathBuf,
    /// Expect this name in the service's certificate instead of the URL's host.
    #[arg(long, value_name = "NAME", value_parser = crate::request::server_name)]
    server_name: Option<ServerName<'static>>,
    /// Expect the certificate (X.509-SVID) of this SPIFFE ID, whatever the service's name.
    #[arg(long, value_name = "SPIFFE ID")]
    server_spiffe_id: Option<SpiffeId>,
    /// File with the access token for requests that bring none; it is read for each.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Sign a proof for each single request: method, URL and a unique id in it.
    #[arg(long)]
    per_request: bool,
    /// Let only this path and those below it through; may be repeated.
    #[arg(long, value_name = "PATH")]
    allow_path: Vec<PathPrefix>,
    /// Use HTTP/1.1 to the service.
    #[arg(long)]
    http1: bool,
    /// Most connections to the service; an HTTP/2 connection takes 100 requests at once.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    max_connections: u16,
    /// Seconds without a byte in either direction after which a request is given up.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    idle_timeout: u64,
    /// Seconds that requests under way have to end after SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    shutdown_timeout: u64,
    /// Serve /metrics (Prometheus) and /status here.
    #[arg(long, value_name = "HOST:PORT|unix:PATH")]
    metrics: Option<String>,
}

pub(crate) fn run(arguments: &ProxyArguments) -> Outcome<ExitCode> {
    tokio::runtime::Runtime::new()?.block_on(serve(arguments))
}

async fn serve(arguments: &ProxyArguments) -> Outcome<ExitCode> {
    let listener = Listener::bind(&arguments.listen, arguments.listen_anywhere).await?;
    let observer = match &arguments.metrics {
        Some(address) => Some(Listener::bind(address, arguments.listen_anywhere).await?),
        None => None,
    };
    let proxy = Arc::new(arguments.proxy(&listener)?);
    eprintln!("session-binding: listening on {listener}");
    if let Some(observer) = observer {
        eprintln!("session-binding: metrics on {observer}");
        tokio::spawn(metrics::serve(observer, Arc::clone(&proxy)));
    }
    let watch = tokio::spawn(tell_of_files(Arc::clone(&proxy)));
    let limit = Duration::from_secs(arguments.shutdown_timeout);
    let ended = listener.serve(proxy, told_to_end()?, limit).await;
    watch.abort();
    if !ended {
        eprintln!(
            "session-binding: requests were under way after {} s",
            limit.as_secs()
        );
    }
    Ok(ExitCode::SUCCESS)
}

impl ProxyArguments {
    fn proxy(&self, listener: &Listener) -> Outcome<Proxy> {
        let http = if self.http1 {
            HttpVersion::Http1
        } else {
            HttpVersion::Any
        };
        let metrics = Arc::new(Metrics::default());
        let pool = Pool::new(
            self.connector(http)?,
            self.upstream.clone(),
            self.connect.clone(),
            usize::from(self.max_connections),
            Arc::clone(&metrics),
        );
        let application = Application {
            upstream: self.upstream.clone(),
            token_file: self.token_file.clone(),
            allowed: self.allow_path.clone(),
            hosts: listener.hosts(&self.listen),
        };
        Ok(Proxy {
            pool: Arc::new(pool),
            // A tunnel takes a whole connection, and HTTP/1.1 has one name for all kinds.
            tunnels: self.connector(HttpVersion::Http1)?,
            connect: self.connect.clone(),
            application,
            proving: if self.per_request {
                Proving::PerRequest
            } else {
                Proving::Connection
            },
            idle: Duration::from_secs(self.idle_timeout),
            metrics,
        })
    }

    fn connector(&self, http: HttpVersion) -> Outcome<FileConnector> {
        let options = Options {
            tls: TlsVersion::Tls13,
            http,
            server_name: self.server_name.clone(),
            server_spiffe_id: self.server_spiffe_id.clone(),
        };
        Ok(FileConnector::open(
            self.identity.files(&self.cacert),
            options,
        )?)
    }
}

/// Tells when files cannot be used, and when they can again. SIGHUP has them looked at now.
async fn tell_of_files(proxy: Arc<Proxy>) {
    let mut told = None;
    let Ok(mut reload) = signal(SignalKind::hangup()) else {
        return;
    };
    loop {
        tokio::select! {
            () = tokio::time::sleep(FILES_INTERVAL) => {}
            _ = reload.recv() => {}
        }
        let problem = proxy.pool.problem();
        if problem != told {
            match &problem {
                Some(problem) => eprintln!("session-binding: the old files stay in use: {problem}"),
                None => eprintln!("session-binding: the files are in use"),
            }
            told = problem;
        }
    }
}

/// Completes at SIGTERM or Ctrl-C.
fn told_to_end() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn upstream(text: &str) -> Result<Uri, String> {
    let wrong = || "it is written https://HOST or https://HOST:PORT".to_owned();
    let url: Uri = text.parse().map_err(|_| wrong())?;
    let authority = url.authority().ok_or_else(wrong)?;
    let has_path = url
        .path_and_query()
        .is_some_and(|path| path.as_str() != "/");
    if url.scheme_str() != Some("https") || has_path || authority.as_str().contains('@') {
        return Err(wrong());
    }
    Ok(url)
}
