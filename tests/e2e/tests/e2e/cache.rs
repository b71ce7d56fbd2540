//! What was verified once is known on its connection, and nowhere else.

use std::time::Duration;

use tls_session_binding_client::AccessToken;
use tls_session_binding_client::http::Session;
use tls_session_binding_client::proof::ProofBuilder;
use tls_session_binding_e2e::ask::{Present, get};
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::stack::{Bootstrap, Stack, Verifier};
use tls_session_binding_e2e::{Result, now};

use crate::VERIFIER;
use crate::counts::settled;
use crate::vocabulary::{HTTP1, HTTP2, Passed, refused, token, try_proof};

const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_verified_once_per_token_and_connection() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let issuer = &stack.authorization_server;
    let tokens = [party.token(issuer, "alice")?, party.token(issuer, "bob")?];
    for _ in 0..3 {
        let connection = party.connect().await?;
        for token in &tokens {
            let proof = party.proof(token, connection.exporter())?;
            for _ in 0..5 {
                assert_eq!(try_proof(&stack, &connection, token, &proof).await?, Passed);
            }
        }
    }
    assert_eq!(cache(&stack, "miss").await?, 6);
    assert_eq!(cache(&stack, "hit").await?, 24);
    assert_eq!(cache(&stack, "shared_hit").await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_for_one_request_counts_as_verified_in_full_and_is_not_kept() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let connection = party.connect().await?;
    let token = token(&stack, &party)?;
    let hash = AccessToken::parse(&token)
        .map_err(|_| "not a token")?
        .hash();
    for id in ["1", "2", "3"] {
        let proof = ProofBuilder::new(&hash, connection.exporter(), now())
            .id(id)
            .sign(&party.signer)?;
        let answer = try_proof(&stack, &connection, &token, proof.as_str()).await?;
        assert_eq!(answer, Passed);
    }
    assert_eq!(cache(&stack, "miss").await?, 3);
    assert_eq!(cache(&stack, "bindings").await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_spares_no_request_its_own_proof() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP1)?;
    let (connection, other) = (party.connect().await?, party.connect().await?);
    let token = token(&stack, &party)?;
    let proof = party.proof(&token, connection.exporter())?;
    assert_eq!(
        try_proof(&stack, &connection, &token, &proof).await?,
        Passed
    );
    let with = |proof: &str| get("/orders").token(&token).proof(proof);
    let broken = format!("{}A", proof.get(..proof.len() - 2).unwrap_or_default());
    let cases = [
        ("none", get("/orders").token(&token), "use_session_binding"),
        ("broken", with(&broken), "invalid_proof"),
        (
            "a prefix",
            with(proof.get(..proof.len() - 1).unwrap_or_default()),
            "invalid_proof",
        ),
        ("twice", with(&proof).proof(&proof), "invalid_proof"),
        (
            "good, then broken",
            with(&proof).proof(&broken),
            "invalid_proof",
        ),
        (
            "broken, then good",
            with(&broken).proof(&proof),
            "invalid_proof",
        ),
        (
            "beside a second token",
            with(&proof).token(&token),
            "invalid_token",
        ),
        (
            "beside a token in the query",
            get("/orders?access_token=x").token(&token).proof(&proof),
            "invalid_token",
        ),
    ];
    for (case, request, error) in cases {
        let outcome = stack.outcome(&connection, request.empty()).await?;
        assert_eq!(outcome, refused(error), "{case}");
    }
    let elsewhere = try_proof(&stack, &other, &token, &proof).await?;
    assert_eq!(elsewhere, refused("invalid_proof"));
    assert_eq!(
        try_proof(&stack, &connection, &token, &proof).await?,
        Passed
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_takes_what_is_known_of_it_along_when_it_closes() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let closed = verified_on_a_connection(&stack, &party).await?;
    let open = verified_on_a_connection(&stack, &party).await?;
    assert_eq!(cache(&stack, "bindings").await?, 2);
    drop(closed);
    becomes(&stack, 1).await?;
    drop(open);
    becomes(&stack, 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_purging_filter_the_bound_holds() -> Result<()> {
    let bootstrap = Bootstrap::shipped(VERIFIER.file())?.with(
        VERIFIER.filter(),
        r#"value: '{"cache": {"connections": 3, "tokens_per_connection": 2}}'"#,
    );
    // The module has no such filter: it sees the end of a connection itself.
    let bootstrap = match VERIFIER {
        Verifier::Native => bootstrap,
        Verifier::Wasm => bootstrap.with(
            "vm_id: tls_session_binding\n                    runtime",
            "vm_id: another\n                    runtime",
        ),
    };
    let stack = Stack::start(&bootstrap).await?;
    let party = stack.party("client", HTTP2)?;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(verified_on_a_connection(&stack, &party).await?);
    }
    // A bound per worker: two workers, three connections each.
    assert!(cache(&stack, "bindings").await? <= 6);
    let connection = party.connect().await?;
    for subject in ["a", "b", "c", "d"] {
        let token = party.token(&stack.authorization_server, subject)?;
        let proof = party.proof(&token, connection.exporter())?;
        assert_eq!(
            try_proof(&stack, &connection, &token, &proof).await?,
            Passed
        );
    }
    assert!(cache(&stack, "bindings").await? <= 7);
    Ok(())
}

async fn verified_on_a_connection(stack: &Stack, party: &Party) -> Result<Session> {
    let connection = party.connect().await?;
    let token = token(stack, party)?;
    let proof = party.proof(&token, connection.exporter())?;
    assert_eq!(try_proof(stack, &connection, &token, &proof).await?, Passed);
    Ok(connection)
}

/// Waits until the cache holds as many bindings.
async fn becomes(stack: &Stack, bindings: u64) -> Result<()> {
    let reached = async {
        while stack.envoy.stat("session_binding.cache.bindings").await? != bindings {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, reached).await?
}

async fn cache(stack: &Stack, name: &str) -> Result<u64> {
    settled(&stack.envoy, &format!("session_binding.cache.{name}")).await
}
