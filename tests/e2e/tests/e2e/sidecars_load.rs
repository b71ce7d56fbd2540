//! Both sidecars with many requests at once, and with large ones.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::try_join_all;
use http::Request;
use hyper::body::Bytes;
use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::application::Application;
use tls_session_binding_e2e::ask::{Outcome, Present, SERVICE, present};
use tls_session_binding_e2e::stack::Bootstrap;
use tls_session_binding_e2e::upstream::MIRROR;
use tokio::process::Command;

use crate::chain::{Chain, egress, egress_http1, settled};
use crate::vocabulary::Passed;

const TOKENS: u64 = 20;
const CLIENTS_PER_TOKEN: u64 = 10;
const REQUESTS_PER_CLIENT: u64 = 50;
const CONNECTIONS: u64 = 4;
const BODY_BYTES: usize = 10 << 20;
const PATIENCE: Duration = Duration::from_mins(2);

/// The sidecar with at most this number of connections to the service.
fn with_connections(egress: Bootstrap, most: u64) -> Bootstrap {
    let limit = format!(
        "connect_timeout: 2s\n      circuit_breakers: {{ thresholds: [{{ max_connections: {most} }}] }}"
    );
    egress.with("connect_timeout: 2s", &limit)
}

#[tokio::test(flavor = "multi_thread")]
async fn p05_all_of_100_parallel_requests_over_one_connection_are_answered() -> Result<()> {
    for bootstrap in [egress()?, egress_http1()?] {
        let chain = Chain::start(with_connections(bootstrap, 1)).await?;
        let token = chain.token("alice")?;
        let requests = (0..100).map(|_| chain.send(HttpVersion::Http1, present(&token, None)));
        let answers = tokio::time::timeout(PATIENCE, try_join_all(requests)).await??;
        for answer in answers {
            assert_eq!(Outcome::of(&answer), Passed);
        }
        assert_eq!(settled(&chain.egress.envoy, "waits.expired").await?, 0);
        assert_eq!(chain.stack.upstream.requests(), 100);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_made_once_per_token_and_connection_however_many_requests() -> Result<()> {
    for bootstrap in [egress()?, egress_http1()?] {
        let chain = Chain::start(with_connections(bootstrap, CONNECTIONS)).await?;
        let mut clients = Vec::new();
        for user in 0..TOKENS {
            let token = chain.token(&format!("user-{user}"))?;
            for _ in 0..CLIENTS_PER_TOKEN {
                clients.push(tokio::spawn(work(chain.egress.address, token.clone())));
            }
        }
        for client in clients {
            tokio::time::timeout(PATIENCE, client).await???;
        }
        let requests = TOKENS * CLIENTS_PER_TOKEN * REQUESTS_PER_CLIENT;
        assert_eq!(chain.stack.upstream.requests(), requests);

        let (egress, ingress) = (&chain.egress.envoy, &chain.stack.envoy);
        let made = settled(egress, "proofs.made").await?;
        let connections = egress.stat("cluster.service.upstream_cx_total").await?;
        // Envoy lets each worker open one connection, even where others have used up the bound.
        let workers = egress.stat("server.concurrency").await?;
        assert!(
            connections <= CONNECTIONS + workers,
            "{connections} connections"
        );
        assert!((TOKENS..=TOKENS * connections).contains(&made), "{made}");
        assert_eq!(settled(egress, "proofs.reused").await?, requests - made);
        // The other side has seen as many pairs of token and connection, and no wrong proof.
        assert_eq!(ingress.stat("session_binding.cache.miss").await?, made);
        assert_eq!(ingress.stat("session_binding.refused.").await?, 0);
        assert_eq!(egress.stat("proofs.refused_by_peer").await?, 0);
    }
    Ok(())
}

/// One client: a connection of its own to the sidecar, one request after the other.
async fn work(sidecar: SocketAddr, token: String) -> Result<()> {
    let mut application = Application::connect(sidecar, HttpVersion::Http1).await?;
    for _ in 0..REQUESTS_PER_CLIENT {
        let answer = application.send(present(&token, None)).await?;
        if Outcome::of(&answer) != Passed {
            return Err(format!("{answer:?}").into());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p12_a_large_body_arrives_and_returns_intact() -> Result<()> {
    let body: Vec<u8> = (0_u32..)
        .flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(BODY_BYTES)
        .collect();
    let body = Bytes::from(body);
    for bootstrap in [egress()?, egress_http1()?] {
        // The request has to wait for the first connection; afterwards there is one.
        let chain = Chain::start(bootstrap).await?;
        let token = chain.token("alice")?;
        for version in [HttpVersion::Http1, HttpVersion::Http2] {
            let request = Request::post(format!("https://{SERVICE}{MIRROR}"))
                .token(&token)
                .body(body.clone())?;
            let answer = chain.send(version, request).await?;
            assert_eq!(Outcome::of(&answer), Passed);
            assert!(*answer.body() == body, "{version:?}");
        }
        assert!(expecting_to_continue(&chain, &token, &body).await? == body);
    }
    Ok(())
}

/// curl asks with `Expect: 100-continue` before it sends a large body.
async fn expecting_to_continue(chain: &Chain, token: &str, body: &Bytes) -> Result<Bytes> {
    let file = chain.stack.pki().join("body");
    std::fs::write(&file, body)?;
    let output = Command::new("curl")
        .args(["--silent", "--fail", "--http1.1", "--max-time", "30"])
        .args(["--expect100-timeout", "30", "--header"])
        .arg(format!("authorization: Bearer {token}"))
        .args(["--header", "expect: 100-continue", "--data-binary"])
        .arg(format!("@{}", file.display()))
        .arg(format!("http://{}{MIRROR}", chain.egress.address))
        .kill_on_drop(true)
        .output()
        .await?;
    assert!(output.status.success(), "curl: {:?}", output.status);
    Ok(output.stdout.into())
}
