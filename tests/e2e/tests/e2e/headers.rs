//! Exact bytes on HTTP/1.1, and what headers can do to the filter: nothing.

use std::fmt::Write as _;

use tls_session_binding_client::AccessToken;
use tls_session_binding_client::http::BearerChallenge;
use tls_session_binding_client::proof::ProofBuilder;
use tls_session_binding_e2e::ask::{Outcome, Present, get};
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::raw::RawConnection;
use tls_session_binding_e2e::stack::Stack;
use tls_session_binding_e2e::{Result, now};

use crate::VERIFIER;
use crate::vocabulary::{HTTP1, HTTP2, Passed, refused, token, try_proof};

/// Cases: name, request line, header lines, what must come of it.
///
/// In the lines `{a}` stands for the whole Authorization line, `{p}` for the proof's, `{r}` for that of a
/// proof for `GET https://service.demo/orders` alone, `{token}` and
/// `{proof}` for the bare values, and a character up to U+00FF for one byte. What must come of it is
/// `passed`, an error code of a 401, or a status (401: without error code).
const ROWS: &str = include_str!("headers.json");
type Row = (String, String, Vec<String>, String);

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_exact_bytes_has_its_answer() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP1)?;
    let mut wrong = Vec::new();
    for (case, line, headers, expected) in serde_json::from_str::<Vec<Row>>(ROWS)? {
        let before = stack.upstream.requests();
        let answer = send(&stack, &party, &line, &headers).await?;
        let (outcome, expected) = (outcome(&answer), outcome_named(&expected));
        let reached = stack.upstream.requests() - before;
        if outcome != expected || reached != u64::from(expected == Passed) {
            wrong.push(format!(
                "{case}: {outcome:?}, not {expected:?}, {reached} at the service"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    the_filter_never_died(&stack).await
}

fn outcome_named(name: &str) -> Outcome {
    match name {
        "passed" => Passed,
        "401" => Outcome::Refused(None),
        name => name.parse().map_or_else(|_| refused(name), Outcome::Status),
    }
}

async fn send(stack: &Stack, party: &Party, line: &str, headers: &[String]) -> Result<String> {
    let mut connection =
        RawConnection::open(stack.address, &stack.pki(), Some(&party.signer)).await?;
    let token = token(stack, party)?;
    let proof = party.proof(&token, &connection.exporter()?)?;
    let mut lines = vec![line.to_owned(), "Connection: close".to_owned()];
    if !headers.iter().any(|header| header.starts_with("Host:")) {
        lines.push("Host: service.demo".to_owned());
    }
    lines.extend_from_slice(headers);
    let request = format!("{}\r\n\r\n", lines.join("\r\n"))
        .replace("{a}", "Authorization: Bearer {token}")
        .replace("{p}", "Session-Binding-Proof: {proof}")
        .replace(
            "{r}",
            &format!(
                "Session-Binding-Proof: {}",
                for_orders(party, &token, &connection)?
            ),
        )
        .replace("{token}", &token)
        .replace("{proof}", &proof);
    let bytes: Vec<u8> = request
        .chars()
        .map(u8::try_from)
        .collect::<std::result::Result<_, _>>()?;
    connection
        .exchange(&bytes, request.matches(" HTTP/1.1\r\n").count())
        .await
}

/// A proof for `GET https://service.demo/orders` alone.
fn for_orders(party: &Party, token: &str, connection: &RawConnection) -> Result<String> {
    let hash = AccessToken::parse(token).map_err(|_| "not a token")?.hash();
    let proof = ProofBuilder::new(&hash, &connection.exporter()?, now())
        .method("GET")
        .target_uri("https://service.demo/orders")
        .sign(&party.signer)?;
    Ok(proof.as_str().to_owned())
}

/// The outcome as told by the first response in `answer`.
fn outcome(answer: &str) -> Outcome {
    let mut lines = answer.split("\r\n").take_while(|line| !line.is_empty());
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or_default();
    let response = lines.filter_map(|line| line.split_once(": ")).fold(
        http::Response::builder().status(status),
        |response, (name, value)| response.header(name, value),
    );
    response
        .body(())
        .map_or(Outcome::Status(0), |response| Outcome::of(&response))
}

/// No Wasm VM has failed or been reloaded, and every worker still verifies.
async fn the_filter_never_died(stack: &Stack) -> Result<()> {
    assert_eq!(stack.envoy.stat("vm_reload").await?, 0);
    let party = stack.party("client", HTTP2)?;
    let token = token(stack, &party)?;
    for _ in 0..8 {
        let connection = party.connect().await?;
        let proof = party.proof(&token, connection.exporter())?;
        assert_eq!(try_proof(stack, &connection, &token, &proof).await?, Passed);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_in_a_header_kills_the_filter() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP1)?;
    for byte in (0..=255)
        .map(char::from)
        .filter(|byte| !"\r\n".contains(*byte))
    {
        for name in ["Session-Binding-Proof", "Authorization", "X-Other"] {
            let headers = ["{a}".to_owned(), format!("{name}: {byte}x")];
            let answer = send(&stack, &party, "GET / HTTP/1.1", &headers).await?;
            let outcome = outcome(&answer);
            let denied = matches!(outcome, Outcome::Refused(_) | Outcome::Status(400));
            assert!(denied, "byte {:#x} in {name}: {answer}", u32::from(byte));
        }
    }
    assert_eq!(stack.upstream.requests(), 0);
    the_filter_never_died(&stack).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_too_long_or_too_many_headers_are_refused() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP1)?;
    let proof_of = |length| vec![format!("Session-Binding-Proof: {}", "A".repeat(length))];
    let cases = [
        (proof_of(8193), refused("invalid_proof")),
        (proof_of(50_000), refused("invalid_proof")),
        (proof_of(70_000), Outcome::Status(431)),
        (vec!["X-A: b".to_owned(); 1100], Outcome::Status(431)),
    ];
    for (mut headers, expected) in cases {
        headers.push("{a}".to_owned());
        let answer = send(&stack, &party, "GET / HTTP/1.1", &headers).await?;
        assert_eq!(outcome(&answer), expected, "{} lines", headers.len());
    }
    assert_eq!(stack.upstream.requests(), 0);
    the_filter_never_died(&stack).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_pipelined_requests_only_those_with_a_proof_pass() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP1)?;
    let first =
        "GET /first HTTP/1.1\r\nHost: service.demo\r\n{a}\r\n{p}\r\n\r\nGET /second HTTP/1.1";
    let answer = send(&stack, &party, first, &["{a}".to_owned()]).await?;
    let statuses: Vec<&str> = answer
        .match_indices("HTTP/1.1 ")
        .filter_map(|(at, _)| answer.get(at + 9..at + 12))
        .collect();
    assert_eq!(statuses, ["200", "401"], "{answer}");
    assert_eq!(stack.upstream.requests(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_grpc_request_gets_status_16_and_the_challenge() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let connection = party.connect().await?;
    let token = token(&stack, &party)?;
    let other = party.connect().await?;
    let stolen = party.proof(&token, other.exporter())?;
    let call = || {
        get("/orders.Orders/List")
            .header("content-type", "application/grpc")
            .token(&token)
    };
    let cases = [
        (call().empty(), "use_session_binding"),
        (call().proof(&stolen).empty(), "invalid_proof"),
    ];
    for (request, error) in cases {
        let response = connection.send_as_is(request).await?;
        assert_eq!(response.status(), 200);
        assert_eq!(
            response
                .headers()
                .get("grpc-status")
                .map(http::HeaderValue::as_bytes),
            Some(&b"16"[..])
        );
        let challenge = BearerChallenge::from_headers(response.headers()).unwrap_or_default();
        assert_eq!(challenge.error.as_deref(), Some(error));
    }
    assert_eq!(stack.upstream.requests(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_log_nor_statistics_nor_refusals_hold_a_secret() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let connection = party.connect().await?;
    let token = token(&stack, &party)?;
    let proof = party.proof(&token, connection.exporter())?;
    let other = party.connect().await?;
    let mut seen = String::new();
    for (session, proof) in [
        (&connection, Some(&proof)),
        (&other, Some(&proof)),
        (&other, None),
    ] {
        let request = get("/orders").token(&token);
        let request = proof
            .into_iter()
            .fold(request, |request, proof| request.proof(proof));
        let response = session.send_as_is(request.empty()).await?;
        if response.status() != 200 {
            seen.push_str(&String::from_utf8_lossy(response.body()));
            write!(seen, "{:?}", response.headers())?;
        }
    }
    seen.push_str(&stack.envoy.admin_get("/stats").await?);
    seen.push_str(&stack.envoy.log());
    let exporters = [
        connection.exporter().to_base64url(),
        other.exporter().to_base64url(),
    ];
    let signature = |jws: &str| jws.rsplit('.').next().unwrap_or_default().to_owned();
    for secret in exporters
        .into_iter()
        .chain([signature(&token), signature(&proof)])
    {
        assert!(!seen.contains(&secret));
    }
    Ok(())
}
