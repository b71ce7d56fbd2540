//! Certificates that are not as they should be, of clients, of servers and in the files of a sidecar.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType, SerialNumber, date_time_ymd};
use tls_session_binding_client::http::Options;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, Present, get};
use tls_session_binding_e2e::raw::RawConnection;
use tls_session_binding_e2e::stack::{Bootstrap, Files, Stack};

use crate::chain::{Chain, egress, egress_http1};
use crate::counts::{settled, until};
use crate::issuers::{self, authority_of, revocation_list};
use crate::vocabulary::{HTTP1, HTTP2, Passed, token, try_proof};

const AGENT: &str = "spiffe://demo/agent";
const REVOKED: u64 = 7;

/// Writes a certificate of the CA, `name`, for a client whose SPIFFE ID is that of the demo's agent,
/// unless `change` makes it another's.
fn issue(pki: &Path, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Result<()> {
    let id = SanType::URI(AGENT.try_into()?);
    issuers::issue(pki, &authority_of(pki)?, name, |params| {
        params.subject_alt_names = vec![id];
        change(params);
    })
}

fn revoke(pki: &Path, serial: u64) -> Result<()> {
    let list = revocation_list(&authority_of(pki)?, serial)?;
    Ok(fs::write(pki.join("crl.pem"), list)?)
}

/// Clients by the reason for which they are refused.
fn bad_clients(pki: &Path) -> Result<[&'static str; 6]> {
    issue(pki, "certificate_expired", |client| {
        client.not_after = date_time_ymd(2025, 1, 1);
    })?;
    issue(pki, "certificate_not_yet_valid", |client| {
        client.not_before = date_time_ymd(2100, 1, 1);
    })?;
    issue(pki, "bad_certificate", |client| {
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    })?;
    issue(pki, "certificate_revoked", |client| {
        client.serial_number = Some(SerialNumber::from(REVOKED));
    })?;
    let other = "spiffe://demo/other".try_into()?;
    issue(pki, "not_allowed", |client| {
        client.subject_alt_names = vec![SanType::URI(other)];
    })?;
    let stranger = Files::make()?;
    for ending in ["pem", "key"] {
        let from = stranger.pki().join(format!("client.{ending}"));
        fs::copy(from, pki.join(format!("unknown_issuer.{ending}")))?;
    }
    Ok([
        "certificate_expired",
        "certificate_not_yet_valid",
        "bad_certificate",
        "certificate_revoked",
        "not_allowed",
        "unknown_issuer",
    ])
}

/// The shipped listener, for the demo's agent alone, and with a revocation list.
fn strict_ingress() -> Result<Bootstrap> {
    Ok(Bootstrap::shipped("ingress.yaml")?.with(
        r#""ca": "target/demo/pki/ca.pem""#,
        concat!(
            r#""ca": "target/demo/pki/ca.pem", "crls": ["target/demo/pki/crl.pem"], "#,
            r#""allow": {"spiffe_ids": ["spiffe://demo/agent"]}"#
        ),
    ))
}

/// M04
#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_refused_for_its_certificate_and_counted_by_reason() -> Result<()> {
    let files = Files::make()?;
    let clients = bad_clients(&files.pki())?;
    revoke(&files.pki(), REVOKED)?;
    let stack = Stack::start_on(files, &strict_ingress()?).await?;
    for reason in clients {
        assert_eq!(answer(&stack, reason, HTTP2).await, None, "{reason}");
        assert_eq!(failures(&stack, reason).await?, 1, "{reason}");
    }
    let nobody = RawConnection::open(stack.address, &stack.pki(), None).await;
    if let Ok(mut nobody) = nobody {
        let answer = nobody.exchange(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", 1);
        assert!(answer.await.is_err());
    }
    assert_eq!(failures(&stack, "no_certificate").await?, 1);
    assert_eq!(stack.upstream.requests(), 0);
    assert_eq!(answer(&stack, "client", HTTP1).await, Some(Passed));
    assert_eq!(
        failures(&stack, "").await?,
        u64::try_from(clients.len())? + 1
    );
    Ok(())
}

/// T04, M12
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_from_before_a_revocation_is_worth_nothing() -> Result<()> {
    let files = Files::make()?;
    let pki = files.pki();
    issue(&pki, "brief", |client| {
        client.serial_number = Some(SerialNumber::from(REVOKED));
    })?;
    revoke(&pki, REVOKED + 1)?;
    let stack = Stack::start_on(files, &strict_ingress()?).await?;
    let party = stack.party("brief", HTTP1)?;
    for resumed in [0, 1, 2] {
        let connection = party.connect().await?;
        // The ticket comes with the answer.
        connection.send_as_is(get("/orders").empty()).await?;
        let count = settled(&stack.envoy, "downstream.handshakes_resumed").await?;
        assert_eq!(count, resumed);
    }
    revoke(&pki, REVOKED)?;
    until(&stack.envoy, "files.taken", |taken| taken == 1).await?;
    if let Ok(connection) = party.connect().await {
        let answer = connection.send_as_is(get("/orders").empty()).await;
        assert!(answer.is_err(), "{answer:?}");
    }
    assert_eq!(failures(&stack, "certificate_revoked").await?, 1);
    Ok(())
}

/// An idle connection too: the peer of an open one is judged again within a second of the change.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_connection_ends_when_its_certificate_is_revoked_and_another_stays() -> Result<()> {
    let files = Files::make()?;
    let pki = files.pki();
    issue(&pki, "brief", |client| {
        client.serial_number = Some(SerialNumber::from(REVOKED));
    })?;
    revoke(&pki, REVOKED + 1)?;
    let stack = Stack::start_on(files, &strict_ingress()?).await?;
    let (brief, other) = (stack.party("brief", HTTP1)?, stack.party("client", HTTP1)?);
    let (brief, other) = (brief.connect().await?, other.connect().await?);
    for connection in [&brief, &other] {
        connection.send_as_is(get("/orders").empty()).await?;
    }
    let active = "http.ingress.downstream_cx_active";
    until(&stack.envoy, active, |count| count == 2).await?;
    revoke(&pki, REVOKED)?;
    let changed = Instant::now();
    until(&stack.envoy, active, |count| count == 1).await?;
    assert!(changed.elapsed() < Duration::from_secs(3));
    let withdrawn = settled(&stack.envoy, "connections.withdrawn").await?;
    assert_eq!(withdrawn, 1);
    assert!(brief.send_as_is(get("/orders").empty()).await.is_err());
    assert!(other.send_as_is(get("/orders").empty()).await.is_ok());
    Ok(())
}

/// What a client is answered, if it is.
async fn answer(stack: &Stack, name: &str, options: Options) -> Option<Outcome> {
    let party = stack.party(name, options).ok()?;
    let token = token(stack, &party).ok()?;
    let connection = party.connect().await.ok()?;
    let proof = party.proof(&token, connection.exporter()).ok()?;
    try_proof(stack, &connection, &token, &proof).await.ok()
}

async fn failures(stack: &Stack, reason: &str) -> Result<u64> {
    let name = format!("downstream.handshakes_failed.{reason}");
    settled(&stack.envoy, &name).await
}

/// P06: one whose name or authority is another is in `sidecars.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn p06_an_expired_service_or_one_of_another_id_gets_no_request_and_no_proof() -> Result<()> {
    let name = r#""server_name": "service.demo""#;
    let other = r#""server_name": "service.demo", "allow": {"spiffe_ids": ["spiffe://demo/x"]}"#;
    for (expired, allowed, reason) in [
        (true, name, "certificate_expired"),
        (false, other, "not_allowed"),
    ] {
        for bootstrap in [egress()?, egress_http1()?] {
            let files = Files::make()?;
            if expired {
                issue(&files.pki(), "server", |server| {
                    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                    server.not_after = date_time_ymd(2025, 1, 1);
                })?;
            }
            let stack = Stack::start_on(files, &Bootstrap::shipped("ingress.yaml")?).await?;
            let egress = stack.egress(bootstrap.with(name, allowed)).await?;
            let chain = Chain { stack, egress };
            let request = get("/orders").token(&chain.token("alice")?);
            assert_eq!(chain.outcome(request).await?, Outcome::Status(503));
            let envoy = &chain.egress.envoy;
            let failed = format!("upstream.handshakes_failed.{reason}");
            assert!(settled(envoy, &failed).await? > 0, "{reason}");
            assert_eq!(envoy.stat("proofs.made").await?, 0);
            assert_eq!(chain.stack.upstream.requests(), 0);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p09_broken_files_change_nothing_until_good_ones_come() -> Result<()> {
    // Every request goes out on a connection of its own, and so with what the files hold now.
    let bootstrap = egress()?.with("600s }", "600s, max_requests_per_connection: 1 }");
    let chain = Chain::start(bootstrap).await?;
    let (pki, envoy) = (chain.stack.pki(), &chain.egress.envoy);
    let token = chain.token("alice")?;
    let request = || get("/orders").token(&token);
    assert_eq!(chain.outcome(request()).await?, Passed);
    let other_key = fs::read(pki.join("client-p384.key"))?;
    let broken: [(&str, &[u8]); 7] = [
        ("client.pem", b""),
        ("client.pem", b"no certificate"),
        ("client.key", b""),
        ("client.key", b"no key"),
        ("client.key", &other_key),
        ("ca.pem", b""),
        ("ca.pem", b"no certificate"),
    ];
    let mut refused = 0;
    for (file, contents) in broken {
        let good = fs::read(pki.join(file))?;
        fs::write(pki.join(file), contents)?;
        refused += 1;
        until(envoy, "files.refused", |count| count == refused).await?;
        assert_eq!(chain.outcome(request()).await?, Passed, "{file}");
        fs::write(pki.join(file), good)?;
    }
    let log = envoy.log();
    let told = log.matches("changed files are not usable, the old stay in use");
    assert_eq!(u64::try_from(told.count())?, refused);
    assert_eq!(envoy.stat("files.taken").await?, 0);

    issue(&pki, "next", |_| ())?;
    for ending in ["key", "pem"] {
        let next = pki.join(format!("next.{ending}"));
        fs::rename(next, pki.join(format!("client.{ending}")))?;
    }
    until(envoy, "files.taken", |count| count == 1).await?;
    let own = chain.stack.party("client", HTTP2)?;
    let token = own.token(&chain.stack.authorization_server, "alice")?;
    let outcome = chain.outcome(get("/orders").token(&token)).await?;
    assert_eq!(outcome, Passed);
    Ok(())
}
