//! A real Envoy process, started from a shipped bootstrap file and stopped by its id.

mod process;

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

use crate::Result;
use process::Process;

const START_LIMIT: Duration = Duration::from_secs(30);
const ADMIN_LIMIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// A running Envoy; dropping it stops it, and shows the end of its log if the test is failing.
#[derive(Debug)]
pub struct Envoy {
    admin: SocketAddr,
    process: Process,
}

impl Envoy {
    /// Starts Envoy on `bootstrap` and waits until it says that it is ready.
    ///
    /// # Errors
    /// When an artifact is missing, Envoy refuses the bootstrap, or it is not ready in time; the
    /// error carries the end of its log.
    pub async fn start(bootstrap: &str, directory: &Path) -> Result<Self> {
        Self::start_with_workers(2, bootstrap, directory).await
    }

    /// As [`Envoy::start`], with this number of worker threads.
    ///
    /// # Errors
    /// As [`Envoy::start`].
    pub async fn start_with_workers(
        workers: u32,
        bootstrap: &str,
        directory: &Path,
    ) -> Result<Self> {
        let workers = workers.to_string();
        let mut arguments = vec!["--disable-hot-restart", "--concurrency", &workers];
        arguments.extend(["--drain-time-s", "1"]);
        Self::start_with(&arguments, bootstrap, directory).await
    }

    /// As [`Envoy::start`], with these arguments, which say how many workers there are, how long Envoy
    /// drains and whether another process can take over.
    ///
    /// # Errors
    /// As [`Envoy::start`].
    pub async fn start_with(arguments: &[&str], bootstrap: &str, directory: &Path) -> Result<Self> {
        let config = directory.join("bootstrap.yaml");
        let address_file = directory.join("admin.address");
        std::fs::write(&config, bootstrap)?;
        std::fs::write(&address_file, "")?;
        let mut command = process::command()?;
        command
            .arg("--config-path")
            .arg(&config)
            .arg("--admin-address-path")
            .arg(&address_file)
            .args(arguments)
            .args(["--file-flush-interval-msec", "100"])
            .args(["--log-level", "warning"])
            .args(["--component-log-level", "wasm:info,dynamic_modules:info"]);
        let process = Process::spawn(&mut command, directory.join("envoy.log"))?;
        let admin = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut envoy = Self { admin, process };
        match envoy.wait_until_ready(&address_file).await {
            Ok(()) => Ok(envoy),
            Err(error) => Err(format!("{error}\n{}", envoy.process.log_tail()).into()),
        }
    }

    async fn wait_until_ready(&mut self, address_file: &Path) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            if self.ended().is_some() {
                return Err("Envoy ended while starting".into());
            }
            if let Some(admin) = read_address(address_file) {
                self.admin = admin;
                if self
                    .admin_get("/ready")
                    .await
                    .is_ok_and(|body| body.trim() == "LIVE")
                {
                    return Ok(());
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err("Envoy is not ready in time".into())
    }

    /// Envoy's process id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// How the process ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Sends SIGTERM and waits for the end; `None` if the process did not end in time.
    pub fn terminate(&mut self) -> Option<ExitStatus> {
        self.process.terminate()
    }

    /// The body of a GET on Envoy's administration interface.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn admin_get(&self, path: &str) -> Result<String> {
        tokio::time::timeout(ADMIN_LIMIT, ask(self.admin, Method::GET, path)).await?
    }

    /// The body of a POST on Envoy's administration interface.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn admin_post(&self, path: &str) -> Result<String> {
        tokio::time::timeout(ADMIN_LIMIT, ask(self.admin, Method::POST, path)).await?
    }

    /// The address that the named listener is bound to.
    ///
    /// # Errors
    /// When there is no such listener.
    pub async fn listener(&self, name: &str) -> Result<SocketAddr> {
        let listeners: Value =
            serde_json::from_str(&self.admin_get("/listeners?format=json").await?)?;
        let address = listeners
            .get("listener_statuses")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .find(|status| status.get("name").and_then(Value::as_str) == Some(name))
            .and_then(|status| status.pointer("/local_address/socket_address"))
            .ok_or_else(|| format!("Envoy has no listener {name}"))?;
        let host = address
            .get("address")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let port = address
            .get("port_value")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        Ok(format!("{host}:{port}").parse()?)
    }

    /// The sum of all counters and gauges whose name contains `part`.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn stat(&self, part: &str) -> Result<u64> {
        let all = self.admin_get("/stats").await?;
        Ok(all
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(name, _)| name.contains(part))
            .filter_map(|(_, value)| value.parse::<u64>().ok())
            .sum())
    }

    /// Prints what Envoy writes, until it ends or this process is told to.
    ///
    /// # Errors
    /// When Envoy ends first, or signals cannot be waited for.
    pub async fn follow(&mut self) -> Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut log = File::open(self.process.log_file())?;
        loop {
            std::io::copy(&mut log, &mut std::io::stdout())?;
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            }
            if self.ended().is_some() {
                return Err("Envoy has ended".into());
            }
        }
    }

    /// What Envoy has written so far, access log included.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The file of [`Envoy::log`].
    #[must_use]
    pub fn log_file(&self) -> &Path {
        self.process.log_file()
    }
}

/// Lets Envoy judge a bootstrap without serving; the result is what it printed.
///
/// # Errors
/// What Envoy printed, when it refuses the bootstrap.
pub fn validate(bootstrap: &str, directory: &Path) -> Result<String> {
    let config = directory.join("validate.yaml");
    std::fs::write(&config, bootstrap)?;
    let output = process::command()?
        .args(["--mode", "validate", "--config-path"])
        .arg(&config)
        .output()?;
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(printed)
    } else {
        Err(printed.into())
    }
}

async fn ask(address: SocketAddr, method: Method, path: &str) -> Result<String> {
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "admin")
        .body(Empty::<Bytes>::new())?;
    let body = sender
        .send_request(request)
        .await?
        .into_body()
        .collect()
        .await?
        .to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn read_address(file: &Path) -> Option<SocketAddr> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}
