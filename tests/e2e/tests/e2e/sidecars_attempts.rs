//! What comes between a proof and its request: connections that break, further attempts, redirects (P04). The
//! ingress verifies each attempt, and refuses a proof of another connection.

use std::net::SocketAddr;

use serde_json::Value;
use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, Present, get, present};
use tls_session_binding_e2e::stack::{Bootstrap, Stack};
use tls_session_binding_e2e::upstream::Upstream;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::chain::{Chain, egress, egress_http1};
use crate::counts::settled;
use crate::load::{Load, tokens};
use crate::vocabulary::Passed;

const CLIENTS: usize = 40;
const REQUESTS_PER_CLIENT: u64 = 15;
/// What the other end is sent on connection 1, 2, and so on before it breaks. A handshake takes about 2,000 bytes.
const CUTS: [u64; 14] = [
    1, 300, 1200, 1700, 1900, 2000, 2100, 2200, 2400, 2600, 2800, 3000, 3300, 4000,
];
const ROUTER: &str = "                  - name: envoy.filters.http.router\n";

/// Stands between the sidecars, and breaks the first connections.
async fn relay(to: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let mut cuts = CUTS.into_iter();
        while let Ok((from, _)) = listener.accept().await {
            tokio::spawn(pass(from, to, cuts.next().unwrap_or(u64::MAX)));
        }
    });
    Ok(address)
}

async fn pass(from: TcpStream, to: SocketAddr, most: u64) -> Result<()> {
    let (requests, mut client) = from.into_split();
    let (mut responses, mut server) = TcpStream::connect(to).await?.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut responses, &mut client).await });
    tokio::io::copy(&mut requests.take(most), &mut server).await?;
    back.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p04_a_connection_that_breaks_anywhere_costs_no_wrong_proof_and_no_hang() -> Result<()> {
    for bootstrap in [egress()?, egress_http1()?] {
        let stack = Stack::ingress().await?;
        let relay = relay(stack.address).await?;
        let port = format!("port_value: {} ", relay.port());
        let egress = bootstrap.with("port_value: 8443 ", &port);
        let egress = stack.beside("egress", "egress", &egress, relay).await?;
        let chain = Chain { stack, egress };
        let token = chain.token("alice")?;
        let mut passed = 0;
        for _ in 0..2 * CUTS.len() {
            let answer = chain
                .send(HttpVersion::Http1, present(&token, None))
                .await?;
            match Outcome::of(&answer) {
                Passed => passed += 1,
                outcome => assert_eq!(outcome, Outcome::Status(503)),
            }
        }
        assert!(passed > CUTS.len(), "{passed}");
        assert_eq!(
            settled(&chain.stack.envoy, "session_binding.refused.").await?,
            0
        );
        assert_eq!(chain.egress.envoy.stat("waits.expired").await?, 0);
    }
    Ok(())
}

/// The service's sidecar with a fault in half of the requests that it has let through.
fn with_fault(fault: &str) -> Result<Bootstrap> {
    let filter = format!(
        r#"                  - name: envoy.filters.http.fault
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
                      {fault}
"#
    );
    Ok(Bootstrap::shipped("ingress.yaml")?.with(ROUTER, &format!("{filter}{ROUTER}")))
}

/// Puts load on a chain whose sidecar repeats requests: all pass, and each attempt had the right proof.
async fn repeat(fault: &str, changes: &[(&str, &str)]) -> Result<()> {
    for bootstrap in [egress()?, egress_http1()?] {
        let bootstrap = changes
            .iter()
            .fold(bootstrap, |egress, (from, to)| egress.with(from, to));
        let chain = Chain::between(bootstrap, &with_fault(fault)?).await?;
        let tokens = tokens(&chain, 5)?;
        let load = Load::start(chain.egress.address, &tokens, CLIENTS, REQUESTS_PER_CLIENT);
        load.finish().await?;
        let (egress, ingress) = (&chain.egress.envoy, &chain.stack.envoy);
        let retries = egress.stat("service.upstream_rq_retry").await?;
        assert!(retries > 20, "{retries}");
        assert_eq!(settled(ingress, "session_binding.refused.").await?, 0);
        assert_eq!(egress.stat("proofs.refused_by_peer").await?, 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p04_each_retry_carries_the_proof_of_its_connection() -> Result<()> {
    let abort = "abort: { http_status: 503, percentage: { numerator: 50 } }";
    let changes = [
        ("num_retries: 1", "num_retries: 20"),
        ("retry_on: ", "retry_on: 5xx,"),
    ];
    repeat(abort, &changes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p04_each_hedged_attempt_carries_the_proof_of_its_connection() -> Result<()> {
    let delay = "delay: { fixed_delay: 0.1s, percentage: { numerator: 50 } }";
    let hedge = "hedge_policy: { hedge_on_per_try_timeout: true }
                            retry_policy:
                              per_try_timeout: 0.002s";
    let changes = [
        ("max_retries: 1024", "max_retries: 1024, max_connections: 8"),
        ("retry_policy:", hedge),
        ("num_retries: 1", "num_retries: 20"),
        ("retry_on: ", "retry_on: 5xx,"),
    ];
    repeat(delay, &changes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p04_an_internal_redirect_gets_a_proof_of_its_own_and_takes_none_elsewhere() -> Result<()> {
    let routes = "                      routes:\n";
    let redirects = "                        - { match: { prefix: /old }, redirect: { path_redirect: /orders } }
                        - { match: { prefix: /away }, redirect: { path_redirect: /elsewhere } }\n";
    let ingress = Bootstrap::shipped("ingress.yaml")?.with(routes, &format!("{routes}{redirects}"));
    let other = Upstream::start(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let to_other = format!(
        "{routes}                        - {{ match: {{ prefix: /elsewhere }}, route: {{ cluster: elsewhere }} }}\n"
    );
    let cluster = format!(
        "  clusters:
    - name: elsewhere
      load_assignment:
        cluster_name: elsewhere
        endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }} }} }}] }}]\n",
        other.address.port()
    );
    let follow = "host_rewrite_literal: service.demo
                            internal_redirect_policy: { redirect_response_codes: [301], allow_cross_scheme_redirect: true }";
    for bootstrap in [egress()?, egress_http1()?] {
        let bootstrap = bootstrap
            .with(routes, &to_other)
            .with("  clusters:\n", &cluster)
            .with("host_rewrite_literal: service.demo", follow);
        let chain = Chain::between(bootstrap, &ingress).await?;
        let token = chain.token("alice")?;
        for (path, end) in [("/old", "/orders"), ("/away", "/elsewhere")] {
            let request = get(path).token(&token).empty();
            let answer = chain.send(HttpVersion::Http1, request).await?;
            assert_eq!(Outcome::of(&answer), Passed, "{path}");
            let seen: Value = serde_json::from_slice(answer.body())?;
            assert_eq!(seen["path"], end);
            assert_eq!(
                seen["headers"]["session-binding-proof"],
                Value::Null,
                "{path}"
            );
        }
        assert_eq!(chain.stack.upstream.requests(), 1);
        assert_eq!(
            settled(&chain.stack.envoy, "session_binding.refused.").await?,
            0
        );
    }
    assert_eq!(other.requests(), 2);
    Ok(())
}
