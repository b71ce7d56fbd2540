//! What changes under load: certificates, connections that come to their end, an ingress that leaves.
//! No request is lost to it, with the retry policy of `envoy/egress.yaml` and nothing more.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use tls_session_binding_client::dev::pki;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::envoy::Envoy;
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::stack::{Bootstrap, Files, Stack};

use crate::chain::{Chain, egress, egress_http1};
use crate::counts::{settled, until};
use crate::load::{Load, ingress_with_subjects, pairs, tokens};
use crate::vocabulary::HTTP2;

const TOKENS: u64 = 20;
const CLIENTS: usize = 50;
/// More than are sent before the load is stopped.
const UNTIL_STOPPED: u64 = u64::MAX;
/// Load before a change and after it.
const A_WHILE: Duration = Duration::from_millis(700);

/// All that was sent has arrived once, and no proof was refused on the way.
async fn assert_nothing_is_lost(chain: &Chain, sent: u64, ingresses: &[&Envoy]) -> Result<()> {
    assert_eq!(chain.stack.upstream.requests(), sent);
    let egress = &chain.egress.envoy;
    assert_eq!(settled(egress, "proofs.refused_by_peer").await?, 0);
    assert_eq!(egress.stat("waits.expired").await?, 0);
    for ingress in ingresses {
        assert_eq!(ingress.stat("session_binding.refused.").await?, 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p04_goaway_and_the_end_of_connections_under_load_lose_no_request() -> Result<()> {
    let options = "{ headers_with_underscores_action: REJECT_REQUEST }";
    let after_requests = "{ max_requests_per_connection: 150 }";
    // With the option an HTTP/1.1 connection, too, is told before it is closed.
    let after_a_time = "{ max_connection_duration: 0.5s }
                http1_safe_max_connection_duration: true";
    for end in [after_requests, after_a_time] {
        for bootstrap in [egress()?, egress_http1()?] {
            let ingress = ingress_with_subjects()?.with(options, end);
            let chain = Chain::between(bootstrap, &ingress).await?;
            let tokens = tokens(&chain, TOKENS)?;
            let load = Load::start(chain.egress.address, &tokens, CLIENTS, UNTIL_STOPPED);
            let egress = &chain.egress.envoy;
            until(egress, "service.upstream_cx_total", |opened| opened >= 10).await?;
            let sent = load.stop().await?;
            let ingress = &chain.stack.envoy;
            assert_nothing_is_lost(&chain, sent, &[ingress]).await?;
            let pairs = u64::try_from(pairs(ingress).len())?;
            assert_eq!(egress.stat("proofs.made").await?, pairs);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_that_drains_under_load_and_ends_loses_no_request() -> Result<()> {
    for bootstrap in [egress()?, egress_http1()?] {
        let ingress = ingress_with_subjects()?;
        let stack = Stack::start(&ingress).await?;
        let service = stack.upstream.address;
        let leaving = stack
            .beside("leaving", "ingress", &ingress, service)
            .await?;
        let port = format!("port_value: {} ", leaving.address.port());
        let endpoint = "              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 8443 } } }\n";
        let both = format!("{endpoint}{}", endpoint.replace("port_value: 8443 ", &port));
        let egress = stack.egress(bootstrap.with(endpoint, &both)).await?;
        let chain = Chain { stack, egress };
        let tokens = tokens(&chain, TOKENS)?;
        let load = Load::start(chain.egress.address, &tokens, CLIENTS, UNTIL_STOPPED);
        tokio::time::sleep(A_WHILE).await;
        assert!(leaving.envoy.stat("http.ingress.downstream_rq_2xx").await? > 0);
        leaving
            .envoy
            .admin_post("/drain_listeners?graceful")
            .await?;
        until(&leaving.envoy, "listener_stopped", |stopped| stopped > 0).await?;
        until(
            &leaving.envoy,
            "http.ingress.downstream_cx_active",
            |open| open == 0,
        )
        .await?;
        assert_eq!(leaving.envoy.stat("session_binding.refused.").await?, 0);
        drop(leaving);
        tokio::time::sleep(A_WHILE).await;
        let sent = load.stop().await?;
        assert_nothing_is_lost(&chain, sent, &[&chain.stack.envoy]).await?;
    }
    Ok(())
}

/// Two sets of certificates, of an authority each, and the link `live` to the first. Both trust both.
fn two_sets() -> Result<Files> {
    let files = Files::make()?;
    let [first, second] = ["pki", "second"].map(|name| files.directory().join(name));
    pki::ensure(&second, false)?;
    let both = [&first, &second].map(|set| fs::read_to_string(set.join("ca.pem")));
    let [one, other] = both;
    let bundle = format!("{}{}", one?, other?);
    fs::write(files.directory().join("bundle.pem"), bundle)?;
    symlink(&first, files.directory().join("live"))?;
    Ok(files)
}

/// Swaps the link as Kubernetes does.
fn swap(directory: &Path) -> Result<()> {
    symlink(directory.join("second"), directory.join("next"))?;
    Ok(fs::rename(directory.join("next"), directory.join("live"))?)
}

/// The same bootstrap with the files that [`swap`] changes.
fn on_live_files(bootstrap: Bootstrap) -> Bootstrap {
    bootstrap
        .with("demo/pki/ca.pem", "demo/bundle.pem")
        .with("demo/pki/", "demo/live/")
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_the_services_certificate_rotated_under_load_loses_no_request() -> Result<()> {
    for bootstrap in [egress()?, egress_http1()?] {
        let files = two_sets()?;
        let directory = files.directory();
        let stack = Stack::start_on(files, &on_live_files(ingress_with_subjects()?)).await?;
        // Unused connections end, so that the second half of this test is on new ones.
        let bootstrap = bootstrap
            .with("demo/pki/ca.pem", "demo/bundle.pem")
            .with("600s }", "600s, idle_timeout: 1s }");
        let egress = stack.egress(bootstrap).await?;
        let chain = Chain { stack, egress };
        let (egress, ingress) = (&chain.egress.envoy, &chain.stack.envoy);
        let tokens = tokens(&chain, TOKENS)?;
        let load = Load::start(chain.egress.address, &tokens, CLIENTS, UNTIL_STOPPED);
        tokio::time::sleep(A_WHILE).await;
        let opened = egress.stat("service.upstream_cx_total").await?;
        swap(&directory)?;
        until(ingress, "files.taken", |taken| taken == 1).await?;
        tokio::time::sleep(A_WHILE).await;
        // The old connections live on: what has changed is the other side's certificate.
        let before = load.stop().await?;
        assert_eq!(egress.stat("service.upstream_cx_total").await?, opened);
        until(egress, "service.upstream_cx_active", |open| open == 0).await?;

        let load = Load::start(chain.egress.address, &tokens, CLIENTS, 20);
        let after = load.finish().await?;
        assert_nothing_is_lost(&chain, before + after, &[ingress]).await?;
        let pairs = u64::try_from(pairs(ingress).len())?;
        assert_eq!(egress.stat("proofs.made").await?, pairs);
        let second = Party::new(
            &directory.join("second"),
            "client",
            chain.stack.address,
            HTTP2,
        )?;
        // It trusts the second authority alone.
        second.connect().await?;
        assert_eq!(
            egress.stat("files.refused").await? + ingress.stat("files.refused").await?,
            0
        );
    }
    Ok(())
}
