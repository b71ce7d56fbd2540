//! One Envoy with one worker on its own core.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use serde_json::Value;
use tls_session_binding_client::dev::authorization_server::AuthorizationServerKey;
use tls_session_binding_client::http::Options;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::envoy::Envoy;
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::stack::Files;
use tokio::runtime::{self, Runtime};

use crate::bootstrap;
use crate::load::{Protocol, connection};
use crate::machine::{Core, Thread, resident_bytes, run_on};

/// Certificates, keys and the issuer of tokens.
pub struct Credentials {
    files: Files,
    /// Signs tokens.
    pub issuer: AuthorizationServerKey,
    /// The client.
    pub party: Party,
}

impl Credentials {
    /// Makes them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn make() -> Result<Self> {
        let files = Files::make()?;
        let issuer = AuthorizationServerKey::ensure(&files.directory().join("as"), false)?;
        // The load connects by itself; the party signs.
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let party = Party::new(&files.pki(), "client", nowhere, Options::default())?;
        Ok(Self {
            files,
            issuer,
            party,
        })
    }

    /// Where they are.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.files.directory()
    }

    /// How the load connects.
    ///
    /// # Errors
    /// As [`connection::config`].
    pub fn tls(&self, protocol: Protocol, resumption: Resumption) -> Result<Arc<ClientConfig>> {
        connection::config(&self.files.pki(), &self.party.signer, protocol, resumption)
    }
}

/// A running Envoy.
pub struct Proxy {
    runtime: Runtime,
    envoy: Envoy,
    /// Its only worker.
    pub worker: Thread,
    /// Its main thread.
    pub main: Thread,
}

impl Proxy {
    /// Starts Envoy with these listeners on its core; this thread is on the load's afterwards.
    ///
    /// # Errors
    /// When Envoy does not start.
    pub fn start(credentials: &Credentials, listeners: &[Value]) -> Result<Self> {
        Self::start_on(credentials, &bootstrap::with_listeners(listeners))
    }

    /// Starts Envoy, which takes its listeners from a file whenever it changes.
    ///
    /// # Errors
    /// When Envoy does not start.
    pub fn start_watching(credentials: &Credentials, listeners: &Path) -> Result<Self> {
        Self::start_on(credentials, &bootstrap::watching(listeners))
    }

    /// Starts one of several Envoys: with its files in a directory of its own, on this core.
    ///
    /// # Errors
    /// When Envoy does not start.
    pub fn start_beside(
        credentials: &Credentials,
        name: &str,
        core: Core,
        bootstrap: &str,
    ) -> Result<Self> {
        let directory = credentials.directory().join(name);
        std::fs::create_dir_all(&directory)?;
        Self::start_in(&directory, core, bootstrap)
    }

    fn start_on(credentials: &Credentials, bootstrap: &str) -> Result<Self> {
        Self::start_in(&credentials.directory(), Core::Envoy, bootstrap)
    }

    fn start_in(directory: &Path, core: Core, bootstrap: &str) -> Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        run_on(core)?;
        let started = runtime.block_on(Envoy::start_with_workers(1, bootstrap, directory));
        run_on(Core::Load)?;
        let envoy = started?;
        let process = envoy.process_id();
        Ok(Self {
            runtime,
            envoy,
            worker: Thread::worker(process)?,
            main: Thread::main(process),
        })
    }

    /// Where a listener listens.
    ///
    /// # Errors
    /// When there is no such listener.
    pub fn address(&self, listener: &str) -> Result<SocketAddr> {
        self.runtime.block_on(self.envoy.listener(listener))
    }

    /// The sum of all counters and gauges whose name contains `part`.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub fn stat(&self, part: &str) -> Result<u64> {
        self.runtime.block_on(self.envoy.stat(part))
    }

    /// Memory that Envoy has allocated for itself, without the VMs of Wasm filters, in bytes.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub fn allocated_bytes(&self) -> Result<u64> {
        let memory = self.runtime.block_on(self.envoy.admin_get("/memory"))?;
        let memory: Value = serde_json::from_str(&memory)?;
        let allocated = memory.get("allocated").and_then(Value::as_str);
        Ok(allocated.ok_or("no figure for memory")?.parse()?)
    }

    /// Memory of Envoy's process that is in RAM, in bytes.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn resident_bytes(&self) -> Result<u64> {
        resident_bytes(self.envoy.process_id())
    }
}
