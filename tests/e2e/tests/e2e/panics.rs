//! A panic inside a hook of the module, in a build made for this (`make panicking`): M11.

use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::ask::{Outcome, Present, get};
use tls_session_binding_e2e::stack::{Bootstrap, Stack, Verifier};
use tls_session_binding_e2e::{Result, modules};

use crate::chain::{Chain, egress, send};
use crate::counts::settled;
use crate::vocabulary::{HTTP1, HTTP2, Passed, token, try_proof};

const DEMAND: &str = "/panic-on-demand";

/// The same configuration with the module that panics.
fn panicking(bootstrap: Bootstrap) -> Bootstrap {
    assert!(
        modules()
            .join("libtls_session_binding_panicking.so")
            .exists(),
        "there is no module that panics: run `make panicking` first"
    );
    bootstrap.with(
        "name: tls_session_binding_module, ",
        "name: tls_session_binding_panicking, ",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_socket_closes_that_connection_and_no_other() -> Result<()> {
    let mut stack = Stack::start(&panicking(Bootstrap::shipped("ingress.yaml")?)).await?;
    let party = stack.party("client", HTTP1)?;
    let token = token(&stack, &party)?;
    let other = party.connect().await?;
    let proof = party.proof(&token, other.exporter())?;
    for panics in 1..=3 {
        let unlucky = party.connect().await?;
        let answer = unlucky.send_as_is(get(DEMAND).token(&token).empty()).await;
        assert!(answer.is_err(), "{answer:?}");
        assert_eq!(try_proof(&stack, &other, &token, &proof).await?, Passed);
        assert_eq!(settled(&stack.envoy, "binding.panics").await?, panics);
    }
    assert_eq!(stack.upstream.requests(), 3);
    assert_eq!(stack.envoy.ended(), None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_prover_fails_that_request_and_no_other() -> Result<()> {
    let mut chain = Chain::start(panicking(egress()?)).await?;
    let token = chain.token("alice")?;
    for panics in 1..=3 {
        let request = get(DEMAND).token(&token).empty();
        let answer = send(chain.egress.address, HttpVersion::Http1, request).await?;
        assert_eq!(Outcome::of(&answer), Outcome::Status(500));
        assert_eq!(chain.outcome(get("/orders").token(&token)).await?, Passed);
        assert_eq!(
            settled(&chain.egress.envoy, "binding.panics").await?,
            panics
        );
    }
    assert_eq!(chain.stack.upstream.requests(), 3);
    assert_eq!(chain.egress.envoy.ended(), None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_verifier_fails_that_request_and_no_other() -> Result<()> {
    let native = Bootstrap::shipped(Verifier::Native.file())?;
    let mut stack = Stack::start(&panicking(native)).await?;
    // HTTP/2 compresses the path, so the socket does not see it and does not panic first.
    let party = stack.party("client", HTTP2)?;
    let token = token(&stack, &party)?;
    let connection = party.connect().await?;
    let proof = party.proof(&token, connection.exporter())?;
    for panics in 1..=3 {
        let request = get(DEMAND).token(&token).proof(&proof).empty();
        let answer = connection.send_as_is(request).await?;
        assert_eq!(Outcome::of(&answer), Outcome::Status(500));
        assert_eq!(
            try_proof(&stack, &connection, &token, &proof).await?,
            Passed
        );
        assert_eq!(settled(&stack.envoy, "binding.panics").await?, panics);
    }
    assert_eq!(stack.upstream.requests(), 3);
    assert_eq!(stack.envoy.ended(), None);
    Ok(())
}

#[test]
fn the_module_that_is_shipped_has_no_panic_on_demand() -> Result<()> {
    let mentions = |module: &str| {
        let bytes = std::fs::read(modules().join(module))?;
        let demand = DEMAND.as_bytes();
        Ok::<_, std::io::Error>(bytes.windows(demand.len()).any(|part| part == demand))
    };
    assert!(mentions("libtls_session_binding_panicking.so")?);
    assert!(!mentions("libtls_session_binding_module.so")?);
    Ok(())
}
