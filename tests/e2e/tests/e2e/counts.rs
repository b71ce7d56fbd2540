//! What Envoy has counted.

use std::time::{Duration, Instant};

use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::envoy::Envoy;

/// Module and filter tell Envoy four times a second what they counted.
const CARRIED: Duration = Duration::from_millis(600);
const PATIENCE: Duration = Duration::from_secs(30);

/// A count of the module's or the filter's, when all of it has been carried over.
pub(crate) async fn settled(envoy: &Envoy, name: &str) -> Result<u64> {
    tokio::time::sleep(CARRIED).await;
    envoy.stat(name).await
}

/// Waits until a count of Envoy's is as `expected`.
pub(crate) async fn until(envoy: &Envoy, name: &str, expected: impl Fn(u64) -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if expected(envoy.stat(name).await?) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("{name} is {} at last", envoy.stat(name).await?).into())
}
