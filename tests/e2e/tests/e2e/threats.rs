//! The threats of the draft's section 6.1, one test each.

use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::present;
use tls_session_binding_e2e::party::proof_claims;
use tls_session_binding_e2e::raw::RawConnection;
use tls_session_binding_e2e::stack::Stack;

use crate::VERIFIER;
use crate::vocabulary::{HTTP1, HTTP2, Passed, refused, token, try_proof};

#[tokio::test(flavor = "multi_thread")]
async fn t1_a_token_replayed_on_another_connection_is_refused() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    for options in [HTTP1, HTTP2] {
        let agent = stack.party("client", options)?;
        let token = token(&stack, &agent)?;
        let first = agent.connect().await?;
        let proof = agent.proof(&token, first.exporter())?;
        assert_eq!(try_proof(&stack, &first, &token, &proof).await?, Passed);
        let other = agent.connect().await?;
        let outcome = stack.outcome(&other, present(&token, None)).await?;
        assert_eq!(outcome, refused("use_session_binding"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn t2_a_token_is_refused_from_another_certificate_even_with_a_proof_of_its_own() -> Result<()>
{
    let stack = Stack::verified_by(VERIFIER).await?;
    let agent = stack.party("client", HTTP2)?;
    let token = token(&stack, &agent)?;
    for name in ["thief", "client-p384", "client-rsa", "client-ed25519"] {
        let other = stack.party(name, HTTP2)?;
        let connection = other.connect().await?;
        let proof = other.proof(&token, connection.exporter())?;
        let outcome = try_proof(&stack, &connection, &token, &proof).await?;
        assert_eq!(outcome, refused("invalid_token"), "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_a_token_without_the_certificates_key_is_worth_nothing() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let (agent, thief) = (stack.party("client", HTTP2)?, stack.party("thief", HTTP2)?);
    let token = token(&stack, &agent)?;
    let connection = thief.connect().await?;
    let outcome = stack.outcome(&connection, present(&token, None)).await?;
    assert_eq!(outcome, refused("invalid_token"));
    // Signed with the thief's key in the name of the agent's certificate.
    let claims = proof_claims(&token, connection.exporter())?;
    let forged = thief.forge(&agent.proof_header(), &claims)?;
    let outcome = try_proof(&stack, &connection, &token, &forged).await?;
    assert_eq!(outcome, refused("invalid_token"));
    // Without any certificate there is no connection.
    let request = format!("GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    let answer = match RawConnection::open(stack.address, &stack.pki(), None).await {
        Ok(mut connection) => connection.exchange(request.as_bytes(), 1).await,
        Err(error) => Err(error),
    };
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(stack.upstream.requests(), 0);
    Ok(())
}

/// T03: who resumes the agent's session has its certificate on the connection, and still no key.
#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_ticket_without_the_key_is_worth_nothing() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let (agent, thief) = (stack.party("client", HTTP2)?, stack.party("thief", HTTP2)?);
    let token = token(&stack, &agent)?;
    let genuine = agent.connect().await?;
    let stolen = agent.proof(&token, genuine.exporter())?;
    // The answer that brings the ticket.
    assert_eq!(try_proof(&stack, &genuine, &token, &stolen).await?, Passed);
    let resumed = agent.connect().await?;
    assert!(resumed.facts().resumed);
    let unproved = stack.outcome(&resumed, present(&token, None)).await?;
    assert_eq!(unproved, refused("use_session_binding"));
    let claims = proof_claims(&token, resumed.exporter())?;
    let forged = thief.forge(&agent.proof_header(), &claims)?;
    for proof in [stolen, forged] {
        let outcome = try_proof(&stack, &resumed, &token, &proof).await?;
        assert_eq!(outcome, refused("invalid_proof"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn t4_a_stolen_proof_is_worth_nothing_on_any_other_connection() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let (agent, thief) = (stack.party("client", HTTP2)?, stack.party("thief", HTTP2)?);
    let token = token(&stack, &agent)?;
    let genuine = agent.connect().await?;
    let proof = agent.proof(&token, genuine.exporter())?;
    assert_eq!(try_proof(&stack, &genuine, &token, &proof).await?, Passed);
    let thiefs = thief.connect().await?;
    let outcome = try_proof(&stack, &thiefs, &token, &proof).await?;
    assert_eq!(outcome, refused("invalid_token"), "the thief's certificate");
    let same = agent.connect().await?;
    let outcome = try_proof(&stack, &same, &token, &proof).await?;
    assert_eq!(outcome, refused("invalid_proof"), "the same certificate");
    // A proof signed on the agent's own other connection does not lend itself either.
    let other = agent.proof(&token, same.exporter())?;
    let outcome = try_proof(&stack, &genuine, &token, &other).await?;
    assert_eq!(outcome, refused("invalid_proof"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_a_token_of_one_hop_is_refused_on_the_next() -> Result<()> {
    // B and C trust the same issuer: one stack plays both.
    let stack = Stack::verified_by(VERIFIER).await?;
    let agent = stack.party("client", HTTP2)?;
    let token = token(&stack, &agent)?;
    let to_b = agent.connect().await?;
    let proof = agent.proof(&token, to_b.exporter())?;
    assert_eq!(try_proof(&stack, &to_b, &token, &proof).await?, Passed);
    // B sends on to C, as itself, what it got.
    let b = stack.party("client-rsa", HTTP2)?;
    let to_c = b.connect().await?;
    for proof in [proof, b.proof(&token, to_c.exporter())?] {
        let outcome = try_proof(&stack, &to_c, &token, &proof).await?;
        assert_eq!(outcome, refused("invalid_token"));
    }
    Ok(())
}
