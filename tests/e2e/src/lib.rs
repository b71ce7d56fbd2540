//! A real Envoy with the shipped configuration, between real clients and an echoing service.
//!
//! | module | what it does |
//! |---|---|
//! | [`envoy`] | starts Envoy, asks its administration interface, stops it |
//! | [`upstream`] | the echoing service, which counts its requests |
//! | [`stack`] | both together, with keys, certificates and tokens of their own |
//! | [`application`] | somebody without a certificate, who speaks plain HTTP to a sidecar |
//! | [`party`] | somebody with a certificate: connections, tokens, proofs |
//! | [`ask`] | requests, and what became of them |
//! | [`raw`] | bytes over TLS that no HTTP library would send |
//! | [`terminator`] | a TLS terminator that speaks the PROXY protocol |
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

pub mod application;
pub mod ask;
pub mod envoy;
pub mod party;
pub mod raw;
pub mod stack;
pub mod terminator;
pub mod upstream;

/// Any failure of the harness, in words.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// A result of the harness.
pub type Result<T> = std::result::Result<T, Error>;

/// The repository, where the paths of the shipped files begin.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Now, in seconds since the epoch.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

/// The folder of the module that was built in the same profile as this crate: `make module` for tests,
/// `make module-release` for what is measured.
#[must_use]
pub fn modules() -> PathBuf {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    root().join("target").join(profile)
}

/// Refuses to go on without a file that `make` builds: nothing is skipped silently.
fn require_artifact(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    Err(format!("{} is missing: run `make build` first", path.display()).into())
}
