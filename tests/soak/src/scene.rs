//! Envoy with its listener in a file of its own, so that its policy can change while it serves, and
//! ready to be taken over by its successor.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tls_session_binding_client::dev::authorization_server::AuthorizationServerKey;
use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::Outcome;
use tls_session_binding_e2e::envoy::Envoy;
use tls_session_binding_e2e::stack::{Bootstrap, FILTER, Files};

use crate::cast::{Cast, Kind};
use crate::outages::Service;
use crate::stage::{Policy, Stage};

/// Time in which open connections are sent away, after a change of the listener or of the process.
const DRAIN_SECONDS: &str = "5";
pub(crate) const DRAIN: Duration = Duration::from_secs(5);
/// When the process that was taken over ends.
const PARENT_SECONDS: &str = "12";
/// Connections in a row that are judged by a new policy before it stands; the workers share them.
const SURE: usize = 16;
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(50);

/// Envoy, and the service behind it.
pub(crate) struct Scene {
    pub(crate) stage: Arc<Stage>,
    pub(crate) envoy: Envoy,
    /// `None` while it is down.
    pub(crate) service: Option<Service>,
    epoch: u32,
    bootstrap: String,
    listener: String,
    files: Files,
}

impl Scene {
    pub(crate) async fn start() -> Result<Self> {
        let files = Files::make()?;
        let service = Service::start(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        // A port that stays when the listener changes and when another process takes over.
        let address = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let shipped = files.place(&Bootstrap::shipped("ingress.yaml")?, service.address);
        let (bootstrap, listener) = split(&shipped, &files.directory().join("listeners.yaml"))?;
        let port = format!("port_value: {} ", address.port());
        let listener = listener.replace("port_value: 0 ", &port);
        write(&files, &listener)?;
        let issuer = AuthorizationServerKey::ensure(&files.directory().join("as"), false)?;
        Ok(Self {
            stage: Arc::new(Stage::new(address, files.pki(), issuer)),
            envoy: launch(&files, &bootstrap, 0).await?,
            service: Some(service),
            epoch: 0,
            bootstrap,
            listener,
            files,
        })
    }

    /// Changes the policy: new connections are judged by it. Open ones keep theirs until they are sent
    /// away.
    pub(crate) async fn apply(&self, policy: Policy) -> Result<()> {
        self.stage.set_drains(true);
        self.stage.set_policy(None);
        write(&self.files, &policy.configure(&self.listener))?;
        tokio::time::timeout(PATIENCE, self.until_judged_by(policy))
            .await
            .map_err(|_| "Envoy does not take up its listener")??;
        self.stage.set_policy(Some(policy));
        Ok(())
    }

    async fn until_judged_by(&self, policy: Policy) -> Result<()> {
        let cast = Cast::new(&self.stage, HttpVersion::Http1, 2).await?;
        let expected = Kind::Good.verdicts(Some(policy), Some(true));
        let mut in_a_row = 0;
        while in_a_row < SURE {
            let connection = self.stage.open(&cast.client).await?;
            let request = cast.good(&self.stage, &connection)?;
            let response = connection.session.send_as_is(request).await?;
            let is_new = expected.contains(&Outcome::of(&response));
            in_a_row = if is_new { in_a_row + 1 } else { 0 };
        }
        Ok(())
    }

    /// Lets another process take over: it gets the listening sockets, and the old one ends when it has
    /// sent its connections away.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.stage.set_drains(true);
        self.epoch += 1;
        let next = launch(&self.files, &self.bootstrap, self.epoch).await?;
        let mut parent = std::mem::replace(&mut self.envoy, next);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = parent.ended() {
                return if status.success() {
                    Ok(())
                } else {
                    Err(format!("Envoy ended after the hot restart with {status}").into())
                };
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err("Envoy does not end after the hot restart".into())
    }

    /// What all processes have written.
    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        (0..=self.epoch)
            .map(|epoch| directory(&self.files, epoch).join("envoy.log"))
            .collect()
    }

    /// Envoy's resident memory.
    pub(crate) fn memory_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.envoy.process_id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line
            .and_then(|line| line.trim().split(' ').next())
            .ok_or("no VmRSS")?;
        Ok(number.parse()?)
    }
}

impl Policy {
    fn configure(self, listener: &str) -> String {
        match self {
            Self::Shipped => listener.to_owned(),
            Self::Tight => listener.replace(FILTER, r#"value: '{"algorithms": ["ES384"]}'"#),
        }
    }
}

fn directory(files: &Files, epoch: u32) -> PathBuf {
    files.directory().join(format!("epoch-{epoch}"))
}

async fn launch(files: &Files, bootstrap: &str, epoch: u32) -> Result<Envoy> {
    let directory = directory(files, epoch);
    std::fs::create_dir(&directory)?;
    let base_id_file = files.directory().join("base-id");
    let number = epoch.to_string();
    let mut arguments = vec!["--concurrency", "2", "--restart-epoch", &number];
    // Each response tells its connection to go, so that none is at work when the time is over.
    arguments.extend(["--drain-strategy", "immediate"]);
    arguments.extend(["--drain-time-s", DRAIN_SECONDS]);
    arguments.extend(["--parent-shutdown-time-s", PARENT_SECONDS]);
    let base_id_path = base_id_file.to_string_lossy();
    let base_id;
    if epoch == 0 {
        arguments.extend(["--use-dynamic-base-id", "--base-id-path", &base_id_path]);
    } else {
        base_id = std::fs::read_to_string(&base_id_file)?;
        arguments.extend(["--base-id", base_id.trim()]);
    }
    Envoy::start_with(&arguments, bootstrap, &directory).await
}

/// The bootstrap without its listeners, and the listeners as Envoy reads them from a file.
fn split(bootstrap: &str, file: &Path) -> Result<(String, String)> {
    let (head, rest) = bootstrap
        .split_once("  listeners:\n")
        .ok_or("no listeners")?;
    let (listeners, clusters) = rest.split_once("\n  clusters:\n").ok_or("no clusters")?;
    let kind = "    - \"@type\": type.googleapis.com/envoy.config.listener.v3.Listener\n      name: ingress";
    let listeners = listeners.replacen("    - name: ingress", kind, 1);
    let bootstrap = format!(
        "node: {{ id: soak, cluster: soak }}\ndynamic_resources:\n  lds_config: {{ path_config_source: {{ path: {} }} }}\n{head}  clusters:\n{clusters}",
        file.display()
    );
    Ok((bootstrap, format!("resources:\n{listeners}\n")))
}

/// Envoy sees the file when another takes its place.
fn write(files: &Files, listener: &str) -> Result<()> {
    let file: PathBuf = files.directory().join("listeners.yaml");
    let next = file.with_extension("next");
    std::fs::write(&next, listener)?;
    Ok(std::fs::rename(next, file)?)
}
