//! A client that is not ours.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tls_session_binding_e2e::{Result, root};
use tokio::process::Command;

use crate::vocabulary::{HTTP1, stack_with_tls12, token};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_pyopenssl_and_pyjwt_passes_with_its_proof_on_its_connection_only() -> Result<()>
{
    let python = root().join("target/envoy/bin/python3");
    assert!(
        python.exists(),
        "{} is missing: run `make envoy` first",
        python.display()
    );
    let stack = stack_with_tls12().await?;
    let token = token(&stack, &stack.party("client", HTTP1)?)?;
    for version in ["1.3", "1.2"] {
        let run = Command::new(&python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign_client.py"))
            .arg(stack.address.port().to_string())
            .arg(stack.pki())
            .args([version, &token])
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, run).await??;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let answers: Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(answers["own"][0], 200, "TLS {version}: {answers}");
        assert_eq!(answers["other"][0], 401, "TLS {version}: {answers}");
        let challenge = answers["other"][1].as_str().unwrap_or_default();
        assert!(
            challenge.contains(r#"error="invalid_proof""#),
            "TLS {version}: {challenge}"
        );
    }
    assert_eq!(stack.upstream.requests(), 2);
    Ok(())
}
