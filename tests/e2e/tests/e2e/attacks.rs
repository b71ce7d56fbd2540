//! Rows of the attack catalogue that need a real Envoy: what lasts, what is shared, what is cut off.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use tls_session_binding_client::dev::authorization_server::Confirmation;
use tls_session_binding_e2e::ask::{Outcome, present};
use tls_session_binding_e2e::party::claims;
use tls_session_binding_e2e::raw::RawConnection;
use tls_session_binding_e2e::stack::Stack;
use tls_session_binding_e2e::{Result, now};

use crate::VERIFIER;
use crate::vocabulary::{HTTP1, HTTP2, Passed, once, refused, token, try_proof};

/// C07
#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_a_token_ends_with_the_token() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let mut claims = claims(
        "alice",
        Confirmation::session_bound(party.signer.thumbprint()),
    );
    // The last of the 60 seconds that `jwt_authn` and this filter allow.
    claims.exp = now() - 60 + 4;
    let token = stack.authorization_server.access_token(&claims)?;
    let connection = party.connect().await?;
    let proof = party.proof(&token, connection.exporter())?;
    for _ in 0..2 {
        assert_eq!(
            try_proof(&stack, &connection, &token, &proof).await?,
            Passed
        );
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let outcome = try_proof(&stack, &connection, &token, &proof).await?;
    assert_eq!(outcome, refused("invalid_token"));
    Ok(())
}

/// C11, C15: both workers write the same buckets of shared memory.
#[tokio::test(flavor = "multi_thread")]
async fn workers_that_remember_at_once_accept_every_proof_once() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let token = token(&stack, &party)?;
    let connections = try_join_all((0..64).map(|_| party.connect())).await?;
    for round in 0..4 {
        let requests = connections.iter().map(|connection| {
            let id = format!("round-{round}");
            let proof = once(&party, &token, connection.exporter(), &id);
            let token = token.clone();
            async move {
                let request = present(&token, Some(&proof?));
                let twice = [0, 1].map(|_| connection.send_as_is(request.clone()));
                let answers = try_join_all(twice).await?;
                Ok::<_, tls_session_binding_e2e::Error>(
                    answers
                        .iter()
                        .map(Outcome::of)
                        .filter(|outcome| *outcome == Passed)
                        .count(),
                )
            }
        });
        let passed = try_join_all(requests).await?;
        assert!(passed.iter().all(|&times| times == 1), "{passed:?}");
    }
    Ok(())
}

/// R08
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_cut_off_leave_the_filter_as_it_was() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let token = token(&stack, &party)?;
    for round in 0..20 {
        let connection = party.connect().await?;
        let proof = party.proof(&token, connection.exporter())?;
        let cut = (0..50).map(|number| {
            let patience = Duration::from_micros(40 * (number + round));
            tokio::time::timeout(
                patience,
                connection.send_as_is(present(&token, Some(&proof))),
            )
        });
        join_all(cut).await;
    }
    assert_eq!(stack.envoy.stat("vm_reload").await?, 0);
    assert_eq!(stack.envoy.stat("session_binding.failed.").await?, 0);
    let connection = party.connect().await?;
    let proof = party.proof(&token, connection.exporter())?;
    let response = connection.send_as_is(present(&token, Some(&proof))).await?;
    assert_eq!(Outcome::of(&response), Passed);
    Ok(())
}

/// H13
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_in_trailers_is_no_proof() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP1)?;
    let mut connection =
        RawConnection::open(stack.address, &stack.pki(), Some(&party.signer)).await?;
    let token = token(&stack, &party)?;
    let proof = party.proof(&token, &connection.exporter()?)?;
    let request = format!(
        "POST /orders HTTP/1.1\r\nHost: service.demo\r\nAuthorization: Bearer {token}\r\n\
         Transfer-Encoding: chunked\r\nTrailer: Session-Binding-Proof\r\n\r\n\
         0\r\nSession-Binding-Proof: {proof}\r\n\r\n"
    );
    let answer = connection.exchange(request.as_bytes(), 1).await?;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("use_session_binding"), "{answer}");
    assert_eq!(stack.upstream.requests(), 0);
    Ok(())
}

/// H19
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_needs_its_proof_like_any_request() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP1)?;
    let token = token(&stack, &party)?;
    for (with_proof, expected) in [(false, "HTTP/1.1 401"), (true, "HTTP/1.1 200")] {
        let mut connection =
            RawConnection::open(stack.address, &stack.pki(), Some(&party.signer)).await?;
        let proof = party.proof(&token, &connection.exporter()?)?;
        let proof = if with_proof {
            format!("Session-Binding-Proof: {proof}\r\n")
        } else {
            String::new()
        };
        let request = format!(
            "GET /orders HTTP/1.1\r\nHost: service.demo\r\nAuthorization: Bearer {token}\r\n{proof}\
             Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        let answer = connection.exchange(request.as_bytes(), 1).await?;
        assert!(answer.starts_with(expected), "{answer}");
    }
    // The service knows no upgrade, and answers as to any other request.
    assert_eq!(stack.upstream.requests(), 1);
    Ok(())
}
