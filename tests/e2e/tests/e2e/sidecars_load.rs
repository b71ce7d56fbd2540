//! Both sidecars with many requests at once.

use std::time::Duration;

use futures_util::future::try_join_all;
use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::ask::{Outcome, present};
use tls_session_binding_e2e::stack::{Bootstrap, FILTER};
use tls_session_binding_e2e::{Error, Result};

use crate::chain::{Chain, egress, egress_http1};
use crate::counts::settled;
use crate::load::{Load, ingress_with_subjects, pairs, tokens};
use crate::vocabulary::Passed;

const TOKENS: u64 = 20;
const CLIENTS: usize = 100;
const REQUESTS_PER_CLIENT: u64 = 200;
const CONNECTIONS: u64 = 4;
const PATIENCE: Duration = Duration::from_mins(2);

/// The sidecar with at most this number of connections to the service.
fn with_connections(egress: Bootstrap, most: u64) -> Bootstrap {
    egress.with(
        "max_retries: 1024",
        &format!("max_retries: 1024, max_connections: {most}"),
    )
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
    // Few enough streams that HTTP/2 needs several connections, too.
    let http2 = egress()?.with(
        "{ http2_protocol_options: {} }",
        "{ http2_protocol_options: { max_concurrent_streams: 20 } }",
    );
    for bootstrap in [http2, egress_http1()?] {
        // Envoy lets each worker open one connection, even where another has used up the bound.
        let bootstrap = with_connections(bootstrap, CONNECTIONS - 1);
        let chain = Chain::between(bootstrap, &ingress_with_subjects()?).await?;
        let tokens = tokens(&chain, TOKENS)?;
        let load = Load::start(chain.egress.address, &tokens, CLIENTS, REQUESTS_PER_CLIENT);
        let requests = load.finish().await?;
        assert_eq!(requests, 20_000);
        assert_eq!(chain.stack.upstream.requests(), requests);

        let (egress, ingress) = (&chain.egress.envoy, &chain.stack.envoy);
        let made = settled(egress, "proofs.made").await?;
        let connections = egress.stat("cluster.service.upstream_cx_total").await?;
        assert!((2..=CONNECTIONS).contains(&connections), "{connections}");
        let pairs = u64::try_from(pairs(ingress).len())?;
        assert_eq!(made, pairs, "on {connections} connections");
        assert_eq!(settled(egress, "proofs.reused").await?, requests - made);
        // The other side has verified as many signatures, and seen no proof of another connection.
        assert_eq!(ingress.stat("session_binding.cache.miss").await?, made);
        assert_eq!(ingress.stat("session_binding.refused.").await?, 0);
        assert_eq!(egress.stat("proofs.refused_by_peer").await?, 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p07_many_proofs_that_are_too_old_at_once_are_each_made_anew_and_sent_once_more()
-> Result<()> {
    // Without cache, so that a proof is judged by its age each time.
    let strict =
        r#"value: '{"max_proof_age": "1s", "clock_tolerance": "0s", "cache": {"connections": 0}}'"#;
    let ingress = Bootstrap::shipped("ingress.yaml")?.with(FILTER, strict);
    for bootstrap in [egress()?, egress_http1()?] {
        let chain = Chain::between(bootstrap, &ingress).await?;
        let token = chain.token("alice")?;
        let rush = || async {
            let requests = (0..50).map(|_| chain.send(HttpVersion::Http1, present(&token, None)));
            let answers = tokio::time::timeout(PATIENCE, try_join_all(requests)).await??;
            Ok::<_, Error>(answers.iter().all(|answer| Outcome::of(answer) == Passed))
        };
        let refused = || chain.stack.envoy.stat("session_binding.refused.");
        assert!(rush().await?);
        // How many are under way with the old proof is a matter of luck: more than the 3 of Envoy's default are wanted.
        let mut at_once = 0;
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(2500)).await;
            let before = refused().await?;
            assert!(rush().await?);
            at_once = refused().await? - before;
            if at_once > 3 {
                break;
            }
        }
        assert!(at_once > 3, "{at_once} refused at once");
    }
    Ok(())
}
