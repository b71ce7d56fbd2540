//! Envoy with its listener in a file of its own, so that its policy can change while it serves.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tls_session_binding_client::dev::authorization_server::AuthorizationServerKey;
use tls_session_binding_client::http::{HttpVersion, Options};
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::envoy::Envoy;
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::stack::{Bootstrap, Files};

use crate::faults::Service;

const PATIENCE: Duration = Duration::from_secs(30);

/// What the filter is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// As shipped.
    Shipped,
    /// Proofs of the client's algorithm are refused.
    Tight,
}

/// Envoy, the service behind it, and everybody who asks.
pub(crate) struct Scene {
    pub(crate) envoy: Envoy,
    /// `None` while it is down.
    pub(crate) service: Option<Service>,
    pub(crate) address: SocketAddr,
    pub(crate) issuer: AuthorizationServerKey,
    pub(crate) policy: Policy,
    files: Files,
    listener: String,
}

impl Scene {
    pub(crate) async fn start() -> Result<Self> {
        let files = Files::make()?;
        let service = Service::start(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        // A port that stays when the listener changes.
        let address = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let shipped = files.place(&Bootstrap::shipped("ingress.yaml")?, service.address);
        let (bootstrap, listener) = split(&shipped, &files.directory().join("listeners.yaml"))?;
        let listener = listener.replace(
            "port_value: 0 ",
            &format!("port_value: {} ", address.port()),
        );
        write(&files, &listener)?;
        let scene = Self {
            envoy: Envoy::start(&bootstrap, &files.directory()).await?,
            service: Some(service),
            address,
            issuer: AuthorizationServerKey::ensure(&files.directory().join("as"), false)?,
            policy: Policy::Shipped,
            files,
            listener,
        };
        scene.settle(1).await?;
        Ok(scene)
    }

    /// Changes the policy; what is asked on a connection after this is judged by it.
    pub(crate) async fn apply(&mut self, policy: Policy) -> Result<()> {
        if policy == self.policy {
            return Ok(());
        }
        let updates = self.updates().await?;
        write(&self.files, &policy.configure(&self.listener))?;
        self.settle(updates + 1).await?;
        self.policy = policy;
        Ok(())
    }

    pub(crate) fn party(&self, name: &str, http: HttpVersion) -> Result<Party> {
        let options = Options {
            http,
            ..Options::default()
        };
        Party::new(&self.pki(), name, self.address, options)
    }

    /// Where certificates and keys are.
    pub(crate) fn pki(&self) -> PathBuf {
        self.files.pki()
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

    async fn updates(&self) -> Result<u64> {
        self.envoy.stat("listener_manager.lds.update_success").await
    }

    async fn settle(&self, updates: u64) -> Result<()> {
        let settled = async {
            while self.updates().await? < updates
                || self
                    .envoy
                    .stat("listener_manager.total_listeners_warming")
                    .await?
                    > 0
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, settled)
            .await
            .map_err(|_| "Envoy does not take up its listener")?
    }
}

impl Policy {
    fn configure(self, listener: &str) -> String {
        match self {
            Self::Shipped => listener.to_owned(),
            Self::Tight => {
                listener.replace(r#"value: "{}""#, r#"value: '{"algorithms": ["ES384"]}'"#)
            }
        }
    }
}

/// The bootstrap without its listeners, and the listeners as Envoy reads them from a file.
fn split(bootstrap: &str, file: &std::path::Path) -> Result<(String, String)> {
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
