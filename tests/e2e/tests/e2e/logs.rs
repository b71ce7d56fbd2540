//! No log holds a secret, wherever a client puts it.

use std::path::Path;
use std::time::{Duration, Instant};

use http::Request;
use hyper::body::Bytes;
use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::ask::{Present, SERVICE, get};
use tls_session_binding_e2e::envoy::Envoy;
use tls_session_binding_e2e::stack::{Bootstrap, Stack};
use tls_session_binding_e2e::{Result, root};

use crate::chain::{Chain, egress, egress_http1};
use crate::facts::with_json_log;
use crate::vocabulary::{HTTP1, HTTP2};

const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);
/// Says in the log that a request was logged.
const PATH: &str = "/placed";

/// Requests with a secret in every place that a client could think of, each with what is needed to get as far as it can.
fn placed(secret: &str, token: &str, proof: &str) -> Result<Vec<Request<Bytes>>> {
    let at = |query: String| get(&format!("{PATH}{query}"));
    let bearer = |request: http::request::Builder| request.token(token).proof(proof).empty();
    let mut requests = vec![
        bearer(at(format!("?access_token={secret}"))),
        bearer(at(format!("?a=b&token={secret}&c"))),
        bearer(at(format!("?proof={secret}"))),
        at(format!("?access_token={secret}")).empty(),
        at(String::new()).token(secret).empty(),
        at(String::new()).token(token).proof(secret).empty(),
        at(String::new())
            .token(token)
            .proof(proof)
            .proof(secret)
            .empty(),
        at(String::new())
            .token(token)
            .token(secret)
            .proof(proof)
            .empty(),
    ];
    for scheme in ["", "Basic ", "DPoP ", "Bearer:", "Bearer  x,Bearer "] {
        let value = format!("{scheme}{secret}");
        requests.push(at(String::new()).header("authorization", value).empty());
    }
    for name in [
        "x-token",
        "cookie",
        "referer",
        "user-agent",
        "x-request-id",
        "x-session-binding",
        "grpc-metadata",
    ] {
        let value = match name {
            "cookie" => format!("session={secret}"),
            "referer" => format!("https://{SERVICE}/?access_token={secret}"),
            _ => secret.to_owned(),
        };
        requests.push(bearer(at(String::new()).header(name, value)));
    }
    let body = Bytes::from(format!("access_token={secret}"));
    let form = ("content-type", "application/x-www-form-urlencoded");
    for proof in [Some(proof), None] {
        let request = Request::post(format!("https://{SERVICE}{PATH}")).token(token);
        let request = proof.into_iter().fold(request, Present::proof);
        requests.push(request.header(form.0, form.1).body(body.clone())?);
    }
    Ok(requests)
}

/// The log once it has told of so many requests.
async fn log_of(envoy: &Envoy, requests: usize) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = envoy.log();
        let told = log.matches(PATH).count();
        if told >= requests {
            return Ok(log);
        }
        if Instant::now() > deadline {
            return Err(format!("{told} of {requests} requests logged:\n{log}").into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// No part of a token or proof that is worth something: none of its three parts.
fn assert_without(log: &str, secret: &str, place: &str) {
    for part in secret.split('.') {
        assert!(!log.contains(part), "{place} holds {part}:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_of_the_ingress_holds_a_token_a_proof_or_an_exporter_value() -> Result<()> {
    let shipped = || Bootstrap::shipped("ingress.yaml");
    for bootstrap in [shipped()?, with_json_log(shipped()?)?] {
        let stack = Stack::start(&bootstrap).await?;
        let mut sent = 0;
        let mut secrets = Vec::new();
        for options in [HTTP1, HTTP2] {
            let party = stack.party("client", options)?;
            let token = party.token(&stack.authorization_server, "alice")?;
            let secret = party.token(&stack.authorization_server, "bob")?;
            for number in 0..placed("", "", "")?.len() {
                // A connection for each: Envoy closes some.
                let connection = party.connect().await?;
                let proof = party.proof(&token, connection.exporter())?;
                let placed = placed(&secret, &token, &proof)?;
                let request = placed.into_iter().nth(number).ok_or("fewer requests")?;
                connection.send_as_is(request).await?;
                sent += 1;
                secrets.extend([proof, connection.exporter().to_base64url()]);
            }
            secrets.extend([token, secret]);
        }
        let log = log_of(&stack.envoy, sent).await?;
        for secret in &secrets {
            assert_without(&log, secret, "the ingress's log");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_of_the_applications_sidecar_holds_a_token() -> Result<()> {
    for bootstrap in [egress()?, egress_http1()?] {
        let chain = Chain::start(bootstrap).await?;
        let (token, secret) = (chain.token("alice")?, chain.token("bob")?);
        let requests = placed(&secret, &token, "not.a.proof")?;
        let sent = requests.len();
        for request in requests {
            chain.send(HttpVersion::Http2, request).await?;
        }
        let log = log_of(&chain.egress.envoy, sent).await?;
        // Some are refused here already.
        let arrived = chain
            .stack
            .envoy
            .stat("_0.http.ingress.downstream_rq_completed");
        let arrived = usize::try_from(arrived.await?)?;
        assert!(arrived > sent / 2, "{arrived}");
        let ingress = log_of(&chain.stack.envoy, arrived).await?;
        for secret in [&token, &secret] {
            assert_without(&log, secret, "the sidecar's log");
            assert_without(&ingress, secret, "the ingress's log");
        }
    }
    Ok(())
}

/// What Envoy is told to log of a request: none of these has a query, a token or a proof in it.
const LOGGED_HEADERS: [&str; 1] = [":METHOD"];

#[test]
fn every_shipped_log_format_names_only_headers_without_secrets() -> Result<()> {
    let mut formats = 0;
    let mut places = vec![root().join("envoy"), root().join("docs")];
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(&place)? {
            let path = entry?.path();
            if path.is_dir() {
                places.push(path);
            } else if path
                .extension()
                .is_some_and(|end| end == "yaml" || end == "md" || end == "json")
            {
                formats += check_formats(&path)?;
            }
        }
    }
    assert!(formats >= 6, "{formats}");
    Ok(())
}

/// The number of log formats in a file.
fn check_formats(path: &Path) -> Result<usize> {
    let text = std::fs::read_to_string(path)?;
    // The guide names the formats that it warns of.
    let text = text.replace(
        "(`%REQ(:PATH)%`,\n`%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%`)",
        "",
    );
    for operator in text.split("%REQ(").skip(1) {
        let name = operator.split(')').next().unwrap_or_default();
        assert!(LOGGED_HEADERS.contains(&name), "{}: {name}", path.display());
    }
    // Without a format of its own a log has Envoy's, with the query in it.
    let count = |word: &str| text.matches(word).count();
    assert!(
        count("AccessLog\n") <= count("log_format:"),
        "{}",
        path.display()
    );
    Ok(text.matches("%RESPONSE_CODE%").count())
}
