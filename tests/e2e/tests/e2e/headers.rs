//! Exact bytes on HTTP/1.1, and what headers can do to the filter: nothing.

use tls_session_binding_client::http::BearerChallenge;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, Present, get};
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::raw::RawConnection;
use tls_session_binding_e2e::stack::Stack;

use crate::vocabulary::{HTTP1, HTTP2, Passed, refused, token, try_proof};

/// Request line and headers; `{a}` stands for the Authorization line, `{p}` for the proof line,
/// `{token}` and `{proof}` for the bare values, and a character up to U+00FF for one byte.
type Row = (&'static str, &'static str, &'static str, Outcome);

fn rows() -> Vec<Row> {
    let get = "GET /orders HTTP/1.1";
    let no_proof = || refused("use_session_binding");
    let bad_proof = || refused("invalid_proof");
    let not_http = || Outcome::Status(400);
    let no_token = || Outcome::Refused(None);
    vec![
        (
            "H01 two Authorization lines",
            get,
            "{a}{a}{p}",
            refused("invalid_token"),
        ),
        (
            "H01 a second token",
            get,
            "{a}Authorization: Bearer x\r\n{p}",
            refused("invalid_token"),
        ),
        ("H02 two proofs", get, "{a}{p}{p}", bad_proof()),
        (
            "H02 good proof first",
            get,
            "{a}{p}Session-Binding-Proof: x\r\n",
            bad_proof(),
        ),
        (
            "H02 good proof second",
            get,
            "{a}Session-Binding-Proof: x\r\n{p}",
            bad_proof(),
        ),
        (
            "H03 a list",
            get,
            "{a}Session-Binding-Proof: {proof},{proof}\r\n",
            bad_proof(),
        ),
        (
            "H03 comma behind",
            get,
            "{a}Session-Binding-Proof: {proof}, \r\n",
            bad_proof(),
        ),
        (
            "H03 comma before",
            get,
            "{a}Session-Binding-Proof: ,{proof}\r\n",
            bad_proof(),
        ),
        (
            "H05 a trailing space",
            get,
            "Authorization: Bearer {token} \r\n{p}",
            Passed,
        ),
        (
            "H06 a tab",
            get,
            "Authorization: Bearer\t{token}\r\n{p}",
            no_token(),
        ),
        (
            "H06 a colon",
            get,
            "Authorization: Bearer:{token}\r\n{p}",
            no_token(),
        ),
        (
            "H06 no token",
            get,
            "Authorization: Bearer\r\n{p}",
            no_token(),
        ),
        (
            "H07 DPoP",
            get,
            "Authorization: DPoP {token}\r\n{p}",
            no_token(),
        ),
        (
            "H07 Basic",
            get,
            "Authorization: Basic {token}\r\n{p}",
            no_token(),
        ),
        (
            "H08 token in the query",
            "GET /?access_token={token} HTTP/1.1",
            "{p}",
            no_token(),
        ),
        ("H10 no proof", get, "{a}", no_proof()),
        ("H10 no token", get, "{p}", no_token()),
        (
            "H11 an empty proof",
            get,
            "{a}Session-Binding-Proof:\r\n",
            bad_proof(),
        ),
        (
            "H11 only spaces",
            get,
            "{a}Session-Binding-Proof:   \r\n",
            bad_proof(),
        ),
        (
            "H12 obs-text alone",
            get,
            "{a}Session-Binding-Proof: \u{ff}\u{80}\r\n",
            bad_proof(),
        ),
        (
            "H12 obs-text behind",
            get,
            "{a}Session-Binding-Proof: {proof}\u{e4}\r\n",
            bad_proof(),
        ),
        (
            "H12 obs-text elsewhere",
            get,
            "{a}{p}X-Name: \u{ff}\u{80}\u{c3}\r\n",
            Passed,
        ),
        (
            "H12 obs-text in a token",
            get,
            "Authorization: Bearer {token}\u{ff}\r\n{p}",
            refused("invalid_token"),
        ),
        (
            "H14 a folded line",
            get,
            "{a}Session-Binding-Proof: {proof}\r\n x\r\n",
            not_http(),
        ),
        (
            "H14 a bare CR",
            get,
            "{a}Session-Binding-Proof: {proof}\rx\r\n",
            not_http(),
        ),
        (
            "H14 NUL",
            get,
            "{a}Session-Binding-Proof: {proof}\0\r\n",
            not_http(),
        ),
        (
            "H15 an underscore",
            get,
            "{a}Session_Binding_Proof: {proof}\r\n",
            no_proof(),
        ),
        (
            "H15 another case",
            get,
            "{a}SESSION-binding-PROOF: {proof}\r\n",
            Passed,
        ),
        (
            "H18 CONNECT",
            "CONNECT service.demo:443 HTTP/1.1",
            "{a}{p}",
            Outcome::Status(404),
        ),
        (
            "H19 WebSocket",
            get,
            "{a}Connection: upgrade\r\nUpgrade: websocket\r\n",
            Outcome::Status(403),
        ),
        ("H20 OPTIONS", "OPTIONS /orders HTTP/1.1", "", no_token()),
        (
            "H21 absolute form",
            "GET https://service.demo/orders HTTP/1.1",
            "{a}{p}",
            Passed,
        ),
        ("H23 two Hosts", get, "Host: evil\r\n{a}{p}", not_http()),
        (
            "H25 a forged client certificate",
            get,
            "X-Forwarded-Client-Cert: Hash=00\r\n{a}{p}",
            Passed,
        ),
        (
            "H26 a header named as the value",
            get,
            "{a}Tls_session_binding.exporter: x\r\n",
            no_proof(),
        ),
        ("H30 HEAD", "HEAD /orders HTTP/1.1", "{a}", no_proof()),
        (
            "H35 two lengths",
            get,
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n{a}{p}",
            not_http(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_exact_bytes_has_its_answer() -> Result<()> {
    let stack = Stack::ingress().await?;
    let party = stack.party("client", HTTP1)?;
    let mut wrong = Vec::new();
    for (case, line, headers, expected) in rows() {
        let before = stack.upstream.requests();
        let answer = send(&stack, &party, line, headers).await?;
        let outcome = outcome(&answer);
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

async fn send(stack: &Stack, party: &Party, line: &str, headers: &str) -> Result<String> {
    let mut connection =
        RawConnection::open(stack.address, &stack.pki(), Some(&party.signer)).await?;
    let token = token(stack, party)?;
    let proof = party.proof(&token, &connection.exporter()?)?;
    let request = format!("{line}\r\nHost: service.demo\r\nConnection: close\r\n{headers}\r\n")
        .replace("{a}", "Authorization: Bearer {token}\r\n")
        .replace("{p}", "Session-Binding-Proof: {proof}\r\n")
        .replace("{token}", &token)
        .replace("{proof}", &proof);
    let bytes: Vec<u8> = request
        .chars()
        .map(u8::try_from)
        .collect::<std::result::Result<_, _>>()?;
    connection.exchange(&bytes).await
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
    let stack = Stack::ingress().await?;
    let party = stack.party("client", HTTP1)?;
    for byte in (0..=255)
        .map(char::from)
        .filter(|byte| !"\r\n".contains(*byte))
    {
        for name in ["Session-Binding-Proof", "Authorization", "X-Other"] {
            let headers = format!("{{a}}{name}: {byte}x\r\n");
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
    let stack = Stack::ingress().await?;
    let party = stack.party("client", HTTP1)?;
    let many = format!("{{a}}{{p}}{}", "X-A: b\r\n".repeat(1100));
    let cases = [
        (
            format!("{{a}}Session-Binding-Proof: {}\r\n", "A".repeat(8193)),
            refused("invalid_proof"),
        ),
        (
            format!("{{a}}Session-Binding-Proof: {}\r\n", "A".repeat(50_000)),
            refused("invalid_proof"),
        ),
        (
            format!("{{a}}Session-Binding-Proof: {}\r\n", "A".repeat(70_000)),
            Outcome::Status(431),
        ),
        (many, Outcome::Status(431)),
    ];
    for (headers, expected) in cases {
        let answer = send(&stack, &party, "GET / HTTP/1.1", &headers).await?;
        assert_eq!(outcome(&answer), expected, "{} bytes", headers.len());
    }
    assert_eq!(stack.upstream.requests(), 0);
    the_filter_never_died(&stack).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_pipelined_requests_only_those_with_a_proof_pass() -> Result<()> {
    let stack = Stack::ingress().await?;
    let party = stack.party("client", HTTP1)?;
    let first = "GET /first HTTP/1.1\r\nHost: service.demo\r\n{a}{p}\r\nGET /second HTTP/1.1";
    let answer = send(&stack, &party, first, "{a}").await?;
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
    let stack = Stack::ingress().await?;
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
                .map(|value| value.as_bytes()),
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
    let stack = Stack::ingress().await?;
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
            seen.push_str(&format!("{:?}", response.headers()));
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
