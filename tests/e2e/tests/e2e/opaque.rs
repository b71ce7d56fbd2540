//! Tokens whose confirmation somebody else knows: an introspection service, or a filter that verified them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tls_session_binding::exporter::LABEL;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, Present, get, present};
use tls_session_binding_e2e::stack::{Bootstrap, Stack};
use tokio::net::TcpListener;

use crate::credentials::Bring::{CertificateBound, Proof, Unbound};
use crate::credentials::Client;
use crate::vocabulary::{HTTP2, Passed, configured, refused, try_proof};

const PAYLOAD: &str = r#"{"confirmation":{"property":
    ["metadata","filter_metadata","envoy.filters.http.jwt_authn","payload"]}}"#;

/// Tells of `session` and `certificate` that they are active and bound to this certificate, of `plain`
/// that it is active, of `brief` that it was, and of others that they are not.
async fn introspection(thumbprint: String) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let thumbprint = thumbprint.clone();
            let service = service_fn(move |request| {
                let answer = answer(&request, &thumbprint);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}

/// How often the service was asked about the token `brief`.
static ASKED: AtomicUsize = AtomicUsize::new(0);

fn answer(request: &Request<Incoming>, thumbprint: &str) -> Response<Empty<Bytes>> {
    let header = request.headers().get("authorization");
    let token = header.map_or(&b""[..], http::HeaderValue::as_bytes);
    let (active, thumbprint, exporter) = match token {
        b"Bearer session" => ("true", thumbprint, LABEL),
        // Revoked after the second time that somebody asks.
        b"Bearer brief" if ASKED.fetch_add(1, Relaxed) < 2 => ("true", thumbprint, LABEL),
        b"Bearer certificate" => ("true", thumbprint, ""),
        b"Bearer plain" => ("true", "", ""),
        _ => ("false", "", ""),
    };
    let facts = [
        ("token-active", active),
        ("token-x5t-s256", thumbprint),
        ("token-tls-exp", exporter),
    ];
    facts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .fold(Response::builder(), |answer, (name, value)| {
            answer.header(*name, *value)
        })
        .body(Empty::new())
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_token_is_bound_by_what_introspection_says_of_it() -> Result<()> {
    // The certificate is known when the stack has made it, and the service's address must be known before.
    let files = tls_session_binding_e2e::stack::Files::make()?;
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let client = tls_session_binding_e2e::party::Party::new(&files.pki(), "client", nobody, HTTP2)?;
    let service = introspection(client.signer.thumbprint().to_base64url()).await?;
    let port = format!("port_value: {} ", service.port());
    let bootstrap = Bootstrap::shipped("introspection.yaml")?.with("port_value: 8081 ", &port);
    let stack = Stack::start_on(files, &bootstrap).await?;
    let (client, thief) = (stack.party("client", HTTP2)?, stack.party("thief", HTTP2)?);
    let (connection, other) = (client.connect().await?, client.connect().await?);
    let proof = client.proof("session", connection.exporter())?;
    for _ in 0..2 {
        let outcome = try_proof(&stack, &connection, "session", &proof).await?;
        assert_eq!(outcome, Passed);
    }
    let outcome = try_proof(&stack, &other, "session", &proof).await?;
    assert_eq!(outcome, refused("invalid_proof"));
    let stolen = thief.connect().await?;
    for (connection, token, expected) in [
        (&connection, "session", refused("use_session_binding")),
        (&stolen, "session", refused("invalid_token")),
        (&connection, "certificate", Passed),
        (&stolen, "certificate", refused("invalid_token")),
        (&connection, "plain", Passed),
    ] {
        let outcome = stack.outcome(connection, present(token, None)).await?;
        assert_eq!(outcome, expected, "{token}");
    }
    let unknown = try_proof(&stack, &connection, "unknown", &proof).await?;
    assert_eq!(unknown, refused("invalid_token"));
    // No token, so nothing to introspect.
    let nothing = stack.outcome(&connection, get("/orders").empty()).await?;
    assert_eq!(nothing, Passed);
    assert_eq!(
        stack.envoy.stat("confirmation_source_missing").await?,
        0,
        "the shipped file tells inactive tokens from a missing source"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_is_refused_where_it_was_verified_before() -> Result<()> {
    let files = tls_session_binding_e2e::stack::Files::make()?;
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let client = tls_session_binding_e2e::party::Party::new(&files.pki(), "client", nobody, HTTP2)?;
    let service = introspection(client.signer.thumbprint().to_base64url()).await?;
    let port = format!("port_value: {} ", service.port());
    let shipped = Bootstrap::shipped("introspection.yaml")?.with("port_value: 8081 ", &port);
    // Somebody whose filter says nothing of a token that is not active.
    let silent = shipped.clone().with(REFUSAL, "local silence = challenge");
    let stack = Stack::start_on(files, &silent).await?;
    let client = stack.party("client", HTTP2)?;
    let connection = client.connect().await?;
    let proof = client.proof("brief", connection.exporter())?;
    for expected in [Passed, Passed, Outcome::Status(503), Outcome::Status(503)] {
        let outcome = try_proof(&stack, &connection, "brief", &proof).await?;
        assert_eq!(outcome, expected);
    }
    let counter = "session_binding.failed.confirmation_source_missing.default";
    assert_eq!(stack.envoy.stat(counter).await?, 2);
    Ok(())
}

/// What the shipped file does with a token that is not active.
const REFUSAL: &str =
    r#"request:respond({ [":status"] = "401", ["www-authenticate"] = challenge }, "")"#;

#[tokio::test(flavor = "multi_thread")]
async fn where_metadata_is_configured_and_absent_no_token_passes() -> Result<()> {
    let bootstrap = configured(PAYLOAD)?.with("payload_in_metadata: payload", "forward: true");
    let bootstrap = bootstrap.with(
        "forward: true\n                          forward: true",
        "forward: true",
    );
    let stack = Stack::start(&bootstrap).await?;
    let client = Client::connect(&stack, HTTP2).await?;
    for bring in [Proof, CertificateBound, Unbound] {
        let outcome = client.try_with(bring, "GET", "service.demo/").await?;
        assert_eq!(outcome, Outcome::Status(503), "{bring:?}");
    }
    let counter = "session_binding.failed.confirmation_source_missing.default";
    assert_eq!(stack.envoy.stat(counter).await?, 3);
    Ok(())
}
