//! The process: spawned, guarded against outliving the tests, stopped by its id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Result, modules, require_artifact, root};

const STOP_LIMIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// A running Envoy; dropping it stops it, and shows the end of its log if the test is failing.
#[derive(Debug)]
pub(super) struct Process {
    envoy: Child,
    guard: Child,
    log: PathBuf,
}

impl Process {
    /// Runs `command` with its output in `log`.
    pub(super) fn spawn(command: &mut Command, log: PathBuf) -> Result<Self> {
        std::fs::write(&log, "")?;
        let output = File::options().append(true).open(&log)?;
        let envoy = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let guard = guard(&envoy)?;
        Ok(Self { envoy, guard, log })
    }

    pub(super) fn id(&self) -> u32 {
        self.envoy.id()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.envoy.try_wait().ok().flatten()
    }

    /// Sends SIGTERM and waits for the end; `None` if it had to be killed.
    pub(super) fn terminate(&mut self) -> Option<ExitStatus> {
        if let Some(status) = self.ended() {
            return Some(status);
        }
        let _ = kill_process(Pid::from_child(&self.envoy), Signal::TERM);
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            thread::sleep(PAUSE);
        }
        let _ = self.envoy.kill();
        let _ = self.envoy.wait();
        None
    }

    pub(super) fn log_file(&self) -> &Path {
        &self.log
    }

    pub(super) fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    pub(super) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines
            .get(lines.len().saturating_sub(40)..)
            .unwrap_or_default();
        format!("--- the end of Envoy's log ---\n{}", tail.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The guard goes first: afterwards the process id may be another's.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        self.terminate();
        if thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
    }
}

/// Stops Envoy when this process ends without doing so, however it ends: its end of the pipe closes.
fn guard(envoy: &Child) -> Result<Child> {
    Ok(Command::new("sh")
        .args([
            "-c",
            "cat >/dev/null; kill -TERM \"$0\"",
            &envoy.id().to_string(),
        ])
        .stdin(Stdio::piped())
        .spawn()?)
}

/// Envoy with the working directory and the module path that the shipped files expect.
pub(super) fn command() -> Result<Command> {
    let program = std::env::var_os("ENVOY")
        .map_or_else(|| root().join("target/envoy/bin/envoy"), PathBuf::from);
    require_artifact(&program)?;
    require_artifact(&modules().join("libtls_session_binding_module.so"))?;
    require_artifact(&root().join("target/wasm32-wasip1/release/tls_session_binding.wasm"))?;
    let mut command = Command::new(program);
    command
        .current_dir(root())
        .env("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", modules());
    Ok(command)
}
