//! A client that is not ours.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tls_session_binding_e2e::stack::Stack;
use tls_session_binding_e2e::{Result, root};
use tokio::process::Command;

use crate::vocabulary::{HTTP1, stack_with_tls12, token};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_pyopenssl_and_pyjwt_passes_with_its_proof_on_its_connection_only() -> Result<()>
{
    let stack = stack_with_tls12().await?;
    for tls in ["1.3", "1.2"] {
        let output = run(&stack, tls).await?;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let answers: Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(answers["own"][0], 200, "TLS {tls}: {answers}");
        assert_eq!(answers["other"][0], 401, "TLS {tls}: {answers}");
        let challenge = answers["other"][1].as_str().unwrap_or_default();
        assert!(
            challenge.contains(r#"error="invalid_proof""#),
            "TLS {tls}: {challenge}"
        );
    }
    assert_eq!(stack.upstream.requests(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_is_refused_unless_allowed_and_always_without_extended_master_secret() -> Result<()>
{
    let (shipped, lenient) = (Stack::ingress().await?, stack_with_tls12().await?);
    for (stack, tls) in [(&shipped, "1.2"), (&lenient, "1.2-without-ems")] {
        let output = run(stack, tls).await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && errors.contains("SSL.Error"),
            "{tls}: {errors}"
        );
        assert_eq!(stack.upstream.requests(), 0);
    }
    Ok(())
}

/// M06, T08, T10
#[tokio::test(flavor = "multi_thread")]
async fn no_second_handshake_and_no_certificate_after_the_first() -> Result<()> {
    let stack = stack_with_tls12().await?;
    for handshake in ["renegotiation", "post-handshake"] {
        let arguments = [port(&stack), pki(&stack), handshake.to_owned()];
        let output = python("foreign_handshakes.py", &arguments).await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{handshake}: {errors}");
        assert_eq!(output.stdout, b"refused\n", "{handshake}");
    }
    assert_eq!(stack.upstream.requests(), 0);
    Ok(())
}

async fn run(stack: &Stack, tls: &str) -> Result<Output> {
    let token = token(stack, &stack.party("client", HTTP1)?)?;
    let arguments = [port(stack), pki(stack), tls.to_owned(), token];
    python("foreign_client.py", &arguments).await
}

fn port(stack: &Stack) -> String {
    stack.address.port().to_string()
}

fn pki(stack: &Stack) -> String {
    stack.pki().display().to_string()
}

async fn python(script: &str, arguments: &[String]) -> Result<Output> {
    let python = root().join("target/envoy/bin/python3");
    assert!(
        python.exists(),
        "{} is missing: run `make envoy` first",
        python.display()
    );
    let run = Command::new(&python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script))
        .args(arguments)
        .kill_on_drop(true)
        .output();
    Ok(tokio::time::timeout(PATIENCE, run).await??)
}
