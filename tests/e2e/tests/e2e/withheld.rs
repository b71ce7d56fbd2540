//! Files that change into what is not to be used, or that nobody can read: what is in use stays in use.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, Present, get};
use tls_session_binding_e2e::envoy::Envoy;
use tls_session_binding_e2e::stack::Stack;
use tokio::net::TcpListener;

use crate::brief;
use crate::chain::{Chain, egress};
use crate::counts::{settled, until};
use crate::vocabulary::Passed;

const PATIENCE: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_hours(1);

async fn told(envoy: &Envoy, line: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !envoy.log().contains(line) {
        if Instant::now() > deadline {
            return Err(format!("no `{line}` in\n{}", envoy.log()).into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_valid_now_is_counted_told_of_and_not_taken_up() -> Result<()> {
    let chain = Chain::start(egress()?).await?;
    let pki = chain.stack.pki();
    let envoy = &chain.egress.envoy;
    let token = chain.token("alice")?;
    let request = || get("/orders").token(&token);
    assert_eq!(chain.outcome(request()).await?, Passed);
    let ends = "upstream.certificate_expires_at";
    let end = settled(envoy, ends).await?;
    let now = SystemTime::now();
    let [own, own_key] =
        ["client.pem", "client.key"].map(|name| fs::read_to_string(pki.join(name)));
    let own = (own?, own_key?);
    let mut refused = 0;
    for (from, to, why) in [
        (now - 2 * HOUR, now - HOUR, "has expired"),
        (now + HOUR, now + 2 * HOUR, "is not valid yet"),
    ] {
        brief::put(&pki, "client", brief::valid(&pki, from, to)?)?;
        let line = format!("the old stay in use: identity.certificate_chain: {why}");
        told(envoy, &line).await?;
        until(envoy, "files.refused", |count| count > refused).await?;
        refused = envoy.stat("files.refused").await?;
        assert_eq!(settled(envoy, ends).await?, end, "{why}");
        assert_eq!(chain.outcome(request()).await?, Passed, "{why}");
    }
    assert_eq!(envoy.stat("files.taken").await?, 0);
    // What is good again is what is in use.
    brief::put(&pki, "client", own)?;
    brief::issue(&pki, "client", 2 * HOUR)?;
    until(envoy, "files.taken", |count| count > 0).await?;
    Ok(())
}

/// A file that is opened and never gives a byte: as one of a file system that hangs.
fn hang(file: &Path) -> Result<()> {
    let next = file.with_extension("next");
    let made = Command::new("mkfifo").arg(&next).status()?;
    if !made.success() {
        return Err("no pipe".into());
    }
    Ok(fs::rename(next, file)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_that_hangs_is_told_of_and_bounds_on_waiting_hold() -> Result<()> {
    // Connections to it are made, and no handshake is ever answered.
    let silent = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let port = format!("port_value: {} ", silent.local_addr()?.port());
    let stack = Stack::ingress().await?;
    let bootstrap = egress()?
        .with("port_value: 8443 ", &port)
        .with("connect_timeout: 2s", "connect_timeout: 60s")
        .with(r#"value: "{}""#, r#"value: '{"max_wait": "1s"}'"#);
    let nowhere = stack.address;
    let egress = stack
        .beside("egress", "egress", &bootstrap, nowhere)
        .await?;
    let chain = Chain { stack, egress };
    let envoy = &chain.egress.envoy;
    let token = chain.token("alice")?;
    assert_eq!(envoy.stat("files.stalled_seconds").await?, 0);
    hang(&chain.stack.pki().join("client.pem"))?;
    until(envoy, "files.stalled_seconds", |seconds| seconds > 1).await?;
    let request = get("/orders").token(&token);
    assert_eq!(chain.outcome(request).await?, Outcome::Status(503));
    assert_eq!(settled(envoy, "waits.expired").await?, 1);
    assert!(envoy.stat("files.stalled_seconds").await? > 1);
    assert_eq!(envoy.stat("files.refused").await?, 0);
    Ok(())
}
