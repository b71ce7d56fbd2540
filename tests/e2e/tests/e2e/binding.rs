//! A proof is for one token on one connection.

use serde_json::Value;
use tls_session_binding_client::AccessToken;
use tls_session_binding_client::http::{HttpVersion, Options, TlsVersion};
use tls_session_binding_client::proof::ProofBuilder;
use tls_session_binding_e2e::ask::{Outcome, Present, get, present};
use tls_session_binding_e2e::party::{Party, proof_claims};
use tls_session_binding_e2e::stack::Stack;
use tls_session_binding_e2e::{Result, now};

use crate::VERIFIER;
use crate::vocabulary::{HTTP1, HTTP2, Passed, refused, stack_with_tls12, token, try_proof};

const CERTIFICATES: [&str; 4] = ["client", "client-p384", "client-rsa", "client-ed25519"];

#[tokio::test(flavor = "multi_thread")]
async fn every_key_type_binds_on_http1_and_http2_over_tls_1_2_and_1_3() -> Result<()> {
    let stack = stack_with_tls12().await?;
    for certificate in CERTIFICATES {
        for http in [HttpVersion::Http1, HttpVersion::Http2] {
            for tls in [TlsVersion::Tls12, TlsVersion::Tls13] {
                let party = stack.party(certificate, Options::new(tls, http))?;
                let outcomes = course_of_a_proof(&stack, &party).await?;
                let expected = [
                    ("first use", Passed),
                    ("reuse", Passed),
                    ("no proof", refused("use_session_binding")),
                    ("another connection", refused("invalid_proof")),
                    ("a proof of that connection", Passed),
                    ("its own connection again", Passed),
                ];
                assert_eq!(outcomes, expected, "{certificate} {http:?} {tls:?}");
            }
        }
    }
    Ok(())
}

async fn course_of_a_proof(stack: &Stack, party: &Party) -> Result<[(&'static str, Outcome); 6]> {
    let token = token(stack, party)?;
    let (connection, other) = (party.connect().await?, party.connect().await?);
    let proof = party.proof(&token, connection.exporter())?;
    let fresh = party.proof(&token, other.exporter())?;
    Ok([
        (
            "first use",
            try_proof(stack, &connection, &token, &proof).await?,
        ),
        (
            "reuse",
            try_proof(stack, &connection, &token, &proof).await?,
        ),
        (
            "no proof",
            stack.outcome(&connection, present(&token, None)).await?,
        ),
        (
            "another connection",
            try_proof(stack, &other, &token, &proof).await?,
        ),
        (
            "a proof of that connection",
            try_proof(stack, &other, &token, &fresh).await?,
        ),
        (
            "its own connection again",
            try_proof(stack, &connection, &token, &proof).await?,
        ),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_session_refuses_the_old_proof_and_accepts_a_new_one() -> Result<()> {
    let stack = stack_with_tls12().await?;
    for tls in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let party = stack.party("client", Options::new(tls, HttpVersion::Http2))?;
        let token = token(&stack, &party)?;
        let first = party.connect().await?;
        let old = party.proof(&token, first.exporter())?;
        assert_eq!(try_proof(&stack, &first, &token, &old).await?, Passed);
        let resumed = party.connect().await?;
        assert!(resumed.facts().resumed, "{tls:?} was not resumed");
        let outcome = try_proof(&stack, &resumed, &token, &old).await?;
        assert_eq!(outcome, refused("invalid_proof"), "{tls:?}");
        let new = party.proof(&token, resumed.exporter())?;
        assert_eq!(
            try_proof(&stack, &resumed, &token, &new).await?,
            Passed,
            "{tls:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tokens_on_one_connection_need_a_proof_each() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let connection = party.connect().await?;
    let issuer = &stack.authorization_server;
    let (alice, bob) = (party.token(issuer, "alice")?, party.token(issuer, "bob")?);
    let alices = party.proof(&alice, connection.exporter())?;
    let bobs = party.proof(&bob, connection.exporter())?;
    for _ in 0..2 {
        assert_eq!(
            try_proof(&stack, &connection, &alice, &alices).await?,
            Passed
        );
        assert_eq!(try_proof(&stack, &connection, &bob, &bobs).await?, Passed);
        let crossed = try_proof(&stack, &connection, &bob, &alices).await?;
        assert_eq!(crossed, refused("invalid_proof"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_streams_at_once_exactly_those_with_a_good_proof_pass() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let connection = party.connect().await?;
    let token = token(&stack, &party)?;
    let good = party.proof(&token, connection.exporter())?;
    let broken = format!("{}A", good.get(..good.len() - 2).unwrap_or_default());
    let proofs = [
        Some(good.as_str()),
        None,
        Some(good.as_str()),
        Some(broken.as_str()),
    ];
    let streams = proofs.iter().cycle().take(100);
    let running: Vec<_> = streams
        .clone()
        .map(|proof| connection.send_as_is(present(&token, *proof)))
        .collect();
    let mut outcomes = Vec::new();
    for answer in futures_util::future::join_all(running).await {
        outcomes.push(Outcome::of(&answer?));
    }
    for (outcome, proof) in outcomes.iter().zip(streams) {
        assert_eq!(
            *outcome == Passed,
            *proof == Some(good.as_str()),
            "{outcome:?}"
        );
    }
    assert_eq!(stack.upstream.requests(), 50);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_per_request_proof_is_good_once_and_for_its_request_only() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    for options in [HTTP1, HTTP2] {
        let party = stack.party("client", options.clone())?;
        let connection = party.connect().await?;
        let token = token(&stack, &party)?;
        let hash = AccessToken::parse(&token)
            .map_err(|_| "not a token")?
            .hash();
        let orders = "https://service.demo/orders";
        let cases = [
            ("its request", "GET", orders, "1", Passed),
            (
                "its id seen before",
                "GET",
                orders,
                "1",
                refused("invalid_proof"),
            ),
            (
                "query ignored",
                "GET",
                "https://service.demo/orders?x=1",
                "2",
                Passed,
            ),
            ("path alone", "GET", "/orders", "3", Passed),
            (
                "another method",
                "POST",
                orders,
                "4",
                refused("invalid_proof"),
            ),
            (
                "the method in lower case",
                "get",
                orders,
                "5",
                refused("invalid_proof"),
            ),
            (
                "another path",
                "GET",
                "https://service.demo/",
                "6",
                refused("invalid_proof"),
            ),
            (
                "another host",
                "GET",
                "https://evil/orders",
                "7",
                refused("invalid_proof"),
            ),
            (
                "another scheme",
                "GET",
                "http://service.demo/orders",
                "8",
                refused("invalid_proof"),
            ),
        ];
        for (case, method, target, id, expected) in cases {
            let proof = ProofBuilder::new(&hash, connection.exporter(), now())
                .method(method)
                .target_uri(target)
                .id(id)
                .sign(&party.signer)?;
            let outcome = try_proof(&stack, &connection, &token, proof.as_str()).await?;
            assert_eq!(outcome, expected, "{case}, {options:?}");
        }
    }
    Ok(())
}

/// Connections whose numbers differ by 64 remember in the same buckets, and each bucket is new at first.
#[tokio::test(flavor = "multi_thread")]
async fn of_proofs_that_two_workers_remember_at_once_none_is_accepted_again() -> Result<()> {
    const CONNECTIONS: usize = 192;
    const PROOFS: usize = 4;
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let token = token(&stack, &party)?;
    let hash = AccessToken::parse(&token)
        .map_err(|_| "not a token")?
        .hash();
    let mut presented = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = std::rc::Rc::new(party.connect().await?);
        for id in 0..PROOFS {
            let proof = ProofBuilder::new(&hash, connection.exporter(), now())
                .method("GET")
                .target_uri("/orders")
                .id(&id.to_string())
                .sign(&party.signer)?;
            presented.push((std::rc::Rc::clone(&connection), proof.as_str().to_owned()));
        }
    }
    for expected in [Passed, refused("invalid_proof")] {
        let sent = presented
            .iter()
            .map(|(connection, proof)| connection.send_as_is(present(&token, Some(proof))));
        for response in futures_util::future::join_all(sent).await {
            assert_eq!(Outcome::of(&response?), expected);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_good_within_its_window_only() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let connection = party.connect().await?;
    let token = token(&stack, &party)?;
    let cases = [
        (-3600, refused("invalid_proof")),
        (-340, refused("invalid_proof")),
        (-10, Passed),
        (10, Passed),
        (3600, refused("invalid_proof")),
    ];
    for (seconds, expected) in cases {
        let mut claims = proof_claims(&token, connection.exporter())?;
        let iat = now().checked_add_signed(seconds).map(Value::from);
        claims
            .as_object_mut()
            .map(|claims| claims.insert("iat".to_owned(), iat.into()));
        let proof = party.forge(&party.proof_header(), &claims)?;
        let outcome = try_proof(&stack, &connection, &token, &proof).await?;
        assert_eq!(outcome, expected, "{seconds} s");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_gets_the_token_but_never_the_proof() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    for options in [HTTP1, HTTP2] {
        let party = stack.party("client", options)?;
        let connection = party.connect().await?;
        let token = token(&stack, &party)?;
        let proof = party.proof(&token, connection.exporter())?;
        let request = get("/orders?page=2").token(&token).proof(&proof).empty();
        let response = connection.send_as_is(request).await?;
        let seen: Value = serde_json::from_slice(response.body())?;
        assert_eq!(seen["method"], "GET");
        assert_eq!(seen["path"], "/orders?page=2");
        assert_eq!(seen["headers"]["authorization"], format!("Bearer {token}"));
        assert_eq!(seen["headers"].get("session-binding-proof"), None);
        assert!(!seen.to_string().contains(&proof));
    }
    Ok(())
}
