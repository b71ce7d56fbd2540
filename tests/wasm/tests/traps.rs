//! No request ends the filter's virtual machine; and what Envoy does if one did.

use std::path::Path;
use std::time::Duration;

use tls_session_binding_client::http::Options;
use tls_session_binding_e2e::raw::RawConnection;
use tls_session_binding_e2e::stack::{self, Bootstrap, Stack};
use tls_session_binding_wasm_tests::Result;
use tls_session_binding_wasm_tests::trap::{TRAP_AT, with_trap};

const FILTER: &str = "target/wasm32-wasip1/release/tls_session_binding.wasm";
/// Longer than the time that Envoy waits before it starts a virtual machine once more.
const BACKOFF: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_fails_closed_and_the_shipped_policy_starts_the_filter_again() -> Result<()> {
    let stack = trapping("FAIL_RELOAD").await?;
    assert_eq!(get(&stack, false).await?, Answer::Refused);
    for _ in 0..3 {
        assert_eq!(get(&stack, true).await?, Answer::Closed);
    }
    tokio::time::sleep(BACKOFF).await;
    for _ in 0..8 {
        assert_eq!(get(&stack, false).await?, Answer::Refused);
    }
    assert_eq!(stack.upstream.requests(), 0);
    assert!(stack.envoy.stat("vm_reload_success").await? > 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_reload_a_trap_closes_its_worker_for_good() -> Result<()> {
    let stack = trapping("FAIL_CLOSED").await?;
    assert_eq!(get(&stack, true).await?, Answer::Closed);
    tokio::time::sleep(BACKOFF).await;
    let mut closed = 0;
    for _ in 0..16 {
        closed += usize::from(get(&stack, false).await? == Answer::Closed);
    }
    assert!(
        closed > 0,
        "the trap's worker verifies again without a reload"
    );
    assert_eq!(stack.upstream.requests(), 0);
    assert_eq!(stack.envoy.stat("vm_reload_success").await?, 0);
    Ok(())
}

#[test]
fn no_shipped_configuration_fails_open() -> Result<()> {
    let mut found = 0;
    let mut folders = vec![tls_session_binding_e2e::root().join("envoy")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "yaml") {
                found += check_failure_policies(&path)?;
            }
        }
    }
    assert!(found >= 3, "only {found} configurations with the filter");
    Ok(())
}

/// Every use of the filter in the file names its policy, and it is to reload.
fn check_failure_policies(file: &Path) -> Result<usize> {
    let text = std::fs::read_to_string(file)?;
    assert!(!text.contains("FAIL_OPEN"), "{} fails open", file.display());
    let uses = text.matches("envoy.wasm.runtime.v8").count();
    let reloads = text.matches("failure_policy: FAIL_RELOAD").count();
    assert_eq!(
        uses,
        reloads,
        "{}: a use of the filter without FAIL_RELOAD",
        file.display()
    );
    Ok(uses)
}

/// The shipped stack with a filter that traps at [`TRAP_AT`] header lines, and another failure policy.
async fn trapping(policy: &str) -> Result<Stack> {
    let directory = tempfile::tempdir()?.keep();
    let file = directory.join("trap.wasm");
    let root = tls_session_binding_e2e::root();
    std::fs::write(&file, with_trap(&std::fs::read(root.join(FILTER))?)?)?;
    let policies = format!("failure_policy: {policy}");
    let bootstrap = Bootstrap::shipped("ingress.yaml")?
        .with(FILTER, &file.display().to_string())
        .with("failure_policy: FAIL_RELOAD", &policies);
    let stack = Stack::start(&without_token_check(bootstrap)).await;
    std::fs::remove_dir_all(&directory)?;
    stack
}

/// Requests without a token come as far as the filter, and it wants one.
fn without_token_check(bootstrap: Bootstrap) -> Bootstrap {
    bootstrap
        .with(
            "requires: { provider_name: demo }",
            "requires: { allow_missing: {} }",
        )
        .with(stack::FILTER, r#"value: '{"binding": "required"}'"#)
}

/// What comes of a GET, with or without what the tampered filter traps at.
async fn get(stack: &Stack, trap: bool) -> Result<Answer> {
    let lines = if trap { usize::from(TRAP_AT) } else { 0 };
    let lines = "X: x\r\n".repeat(lines);
    let request = format!("GET / HTTP/1.1\r\nHost: service.demo\r\n{lines}\r\n");
    match exchange(stack, &request)
        .await
        .unwrap_or_default()
        .get(9..12)
    {
        Some("401") => Ok(Answer::Refused),
        // The purging filter is in the same virtual machine: Envoy also closes the connection.
        None | Some("503") => Ok(Answer::Closed),
        Some(status) => Err(status.into()),
    }
}

async fn exchange(stack: &Stack, request: &str) -> Result<String> {
    let party = stack.party("client", Options::default())?;
    let mut connection =
        RawConnection::open(stack.address, &stack.pki(), Some(&party.signer)).await?;
    connection.exchange(request.as_bytes(), 1).await
}

/// What came of a request without token.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// 401: the filter is there and wants a token.
    Refused,
    /// 503 or no answer: Envoy lets nothing pass without the filter.
    Closed,
}
