//! The two cores of the machine, and what a thread of Envoy's has used of its own.

use std::path::PathBuf;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};
use tls_session_binding_e2e::Result;

/// Who runs where.
#[derive(Debug, Clone, Copy)]
pub enum Core {
    /// All of Envoy.
    Envoy = 0,
    /// All of the load.
    Load = 1,
}

/// Keeps the calling thread, and all that it starts from now on, on one core.
///
/// # Errors
/// When the machine has no such core.
pub fn run_on(core: Core) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core as usize);
    sched_setaffinity(None, &cores)
        .map_err(|error| format!("cannot run on core {}: {error}", core as usize).into())
}

/// One thread of Envoy's.
#[derive(Debug)]
pub struct Thread {
    statistics: PathBuf,
}

impl Thread {
    /// The only worker of an Envoy process.
    ///
    /// # Errors
    /// When there is no such thread.
    pub fn worker(process: u32) -> Result<Self> {
        for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
            let task = task?.path();
            if std::fs::read_to_string(task.join("comm"))?.starts_with("wrk:worker_0") {
                let statistics = task.join("schedstat");
                return Ok(Self { statistics });
            }
        }
        Err("Envoy has no worker thread".into())
    }

    /// The main thread of a process.
    #[must_use]
    pub fn main(process: u32) -> Self {
        let statistics = PathBuf::from(format!("/proc/{process}/task/{process}/schedstat"));
        Self { statistics }
    }

    /// How long the thread has run on a core, waiting excluded.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn cpu_time(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(&self.statistics)?;
        let nanoseconds = text
            .split_whitespace()
            .next()
            .ok_or("no scheduler statistics")?;
        Ok(Duration::from_nanos(nanoseconds.parse()?))
    }
}

/// Memory of a process that is in RAM, in bytes.
///
/// # Errors
/// When the kernel does not say.
pub fn resident_bytes(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))
        .ok_or("no VmRSS")?;
    Ok(kilobytes.trim().parse::<u64>()? * 1024)
}
