//! Lets the independent hostile client of the module's tests attack the stack of `envoy/ingress.yaml`.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use tls_session_binding_e2e::stack::{Bootstrap, Stack};
use tls_session_binding_e2e::{Result, root};
use tokio::process::Command;

/// All attacks take some seconds.
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::main]
async fn main() -> ExitCode {
    match attack().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every attack ended as it should, and Envoy lives.
async fn attack() -> Result<bool> {
    let both = r#""versions": ["1.2", "1.3"]"#;
    let bootstrap = Bootstrap::shipped("ingress.yaml")?.with(r#""versions": ["1.3"]"#, both);
    let mut stack = Stack::start(&bootstrap).await?;
    let client = Command::new(root().join("target/hostile/bin/python"))
        .arg(root().join("envoy/module/tests/hostile.py"))
        .arg(stack.address.port().to_string())
        .args([
            stack.pki().join("client.pem"),
            stack.pki().join("client.key"),
        ])
        .kill_on_drop(true)
        .status();
    let status = tokio::time::timeout(PATIENCE, client).await??;
    if stack.envoy.stat("tls_session_binding.panics").await? != 0 {
        return Err("the module has panicked".into());
    }
    Ok(status.success() && stack.envoy.ended().is_none())
}
