//! Certificates, keys and authorities that are written after Envoy has started.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, Present, get};
use tls_session_binding_e2e::envoy::Envoy;
use tls_session_binding_e2e::stack::{Bootstrap, Files, Stack};

use crate::chain::{Chain, egress};
use crate::counts::{settled, until};
use crate::vocabulary::{HTTP2, Passed};

/// Within this time after the last file has come, all works: a second, and what the test itself takes.
const SOON: Duration = Duration::from_millis(1_500);
const WAITS: &str = "files are awaited, and no handshake is done";
const ARRIVED: &str = "awaited files have come, and are in use";

fn waiting(bootstrap: Bootstrap) -> Bootstrap {
    bootstrap.with(r#"{ "identity""#, r#"{ "await_files": true, "identity""#)
}

/// Puts files aside, and back one after the other as an agent writes them.
struct Aside(Vec<(std::path::PathBuf, Vec<u8>)>);

impl Aside {
    fn take(pki: &Path, names: &[&str]) -> Result<Self> {
        let take = |name: &&str| {
            let path = pki.join(name);
            let contents = fs::read(&path)?;
            fs::remove_file(&path)?;
            Result::Ok((path, contents))
        };
        Ok(Self(names.iter().map(take).collect::<Result<_>>()?))
    }

    async fn write_slowly(self) -> Result<()> {
        for (path, contents) in self.0 {
            for part in [0, contents.len() / 2, contents.len()] {
                fs::write(&path, contents.get(..part).unwrap_or_default())?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sidecars_start_before_their_files_refuse_meanwhile_and_then_serve() -> Result<()> {
    let files = Files::make()?;
    let pki = files.pki();
    let listeners = Aside::take(&pki, &["server.pem", "server.key"])?;
    let stack = Stack::start_on(files, &waiting(Bootstrap::shipped("ingress.yaml")?)).await?;
    let token = stack
        .party("client", HTTP2)?
        .token(&stack.authorization_server, "alice")?;
    assert!(stack.party("client", HTTP2)?.connect().await.is_err());
    let clusters = Aside::take(&pki, &["ca.pem", "client.key", "client.pem"])?;
    let egress = stack.egress(waiting(egress()?)).await?;
    let chain = Chain { stack, egress };
    let (ingress, egress) = (&chain.stack.envoy, &chain.egress.envoy);
    let request = || get("/orders").token(&token);
    assert_eq!(chain.outcome(request()).await?, Outcome::Status(503));
    for (envoy, failed) in [
        (ingress, "downstream.handshakes_failed.files_awaited"),
        (egress, "upstream.handshakes_failed.files_awaited"),
    ] {
        assert!(settled(envoy, failed).await? > 0, "{failed}");
        until(envoy, "files.awaited", |count| count == 1).await?;
    }
    assert_eq!(chain.stack.upstream.requests(), 0);

    listeners.write_slowly().await?;
    clusters.write_slowly().await?;
    let written = Instant::now();
    while chain.outcome(request()).await? != Passed {
        assert!(written.elapsed() < SOON, "not in use yet");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for envoy in [ingress, egress] {
        until(envoy, "files.awaited", |count| count == 0).await?;
        assert!(envoy.stat("certificate_expires_at").await? > 0);
        let log = envoy.log();
        assert_eq!(log.matches(WAITS).count(), 1, "{log}");
        assert_eq!(log.matches(ARRIVED).count(), 1, "{log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_leave_to_wait_and_where_waiting_mends_nothing_the_configuration_is_refused()
-> Result<()> {
    let files = Files::make()?;
    let missing = r#""certificate_chain": "target/demo/missing.pem""#;
    let directory = r#""certificate_chain": "target/demo/pki""#;
    let own = r#""certificate_chain": "target/demo/pki/server.pem""#;
    let shipped = || Bootstrap::shipped("ingress.yaml");
    for refused in [
        shipped()?.with(own, missing),
        waiting(shipped()?).with(own, directory),
    ] {
        let placed = files.place(&refused, ([127, 0, 0, 1], 9).into());
        let started = Envoy::start(&placed, &files.directory()).await;
        let error = started.err().ok_or("accepted")?.to_string();
        assert!(error.contains("identity.certificate_chain"), "{error}");
    }
    Ok(())
}
