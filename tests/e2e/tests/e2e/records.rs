//! What Envoy's counters and access log tell of each request.

use std::time::{Duration, Instant};

use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::present;
use tls_session_binding_e2e::stack::Stack;

use crate::VERIFIER;
use crate::counts::settled;
use crate::vocabulary::{HTTP2, Passed, refused, token, try_proof};

/// Envoy writes its access log at intervals.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_counted_once_and_logged_with_its_verdict() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let token = token(&stack, &party)?;
    let (connection, other) = (party.connect().await?, party.connect().await?);
    let proof = party.proof(&token, connection.exporter())?;
    assert_eq!(
        try_proof(&stack, &connection, &token, &proof).await?,
        Passed
    );
    assert_eq!(
        try_proof(&stack, &connection, &token, &proof).await?,
        Passed
    );
    assert_eq!(
        try_proof(&stack, &other, &token, &proof).await?,
        refused("invalid_proof")
    );
    let unproved = stack.outcome(&connection, present(&token, None)).await?;
    assert_eq!(unproved, refused("use_session_binding"));
    let expected = [
        ("session_binding.admitted.", 2),
        ("session_binding.admitted.session_bound", 2),
        ("session_binding.refused.", 2),
        ("session_binding.refused.proof_connection_mismatch", 1),
        ("session_binding.refused.proof_missing", 1),
        ("session_binding.failed.", 0),
    ];
    for (counter, times) in expected {
        assert_eq!(settled(&stack.envoy, counter).await?, times, "{counter}");
    }
    let deadline = Instant::now() + PATIENCE;
    while stack.envoy.log().matches("verdict=").count() < 4 && Instant::now() < deadline {
        tokio::time::sleep(PAUSE).await;
    }
    let log = stack.envoy.log();
    let logged = |end: &str| log.lines().filter(|line| line.ends_with(end)).count();
    for (end, times) in [
        ("verdict=session_bound reason=-", 2),
        ("verdict=refused reason=proof_connection_mismatch", 1),
        ("verdict=refused reason=proof_missing", 1),
    ] {
        assert_eq!(logged(end), times, "{end} in\n{log}");
    }
    Ok(())
}
