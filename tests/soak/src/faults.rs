//! Peers that are slow, silent, half closed or gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, SERVICE};
use tls_session_binding_e2e::raw::RawConnection;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cast::Kind;
use crate::load::tolerate;
use crate::stage::Stage;

/// The beginning of a `ClientHello` that never ends.
const HALF_A_HELLO: &[u8] = &[
    0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
];
const PLAIN_HTTP: &[u8] = b"GET / HTTP/1.1\r\nHost: service.demo\r\n\r\n";
/// Silent connections at the same time.
const SILENT: usize = 50;
/// Bytes that a slow peer sends at a time, and its pause.
const SIP: usize = 50;
const SIP_PAUSE: Duration = Duration::from_millis(50);

/// Starts every fault; each repeats itself until it is over.
pub(crate) fn spawn_all(
    tasks: &mut JoinSet<Result<()>>,
    stage: &Arc<Stage>,
    is_over: &watch::Receiver<bool>,
) {
    for (bytes, patience) in [
        (HALF_A_HELLO, Duration::from_secs(2)),
        (PLAIN_HTTP, Duration::from_millis(50)),
        (&[][..], Duration::from_secs(1)),
        (&[0xff; 512][..], Duration::from_millis(50)),
    ] {
        let (address, is_over) = (stage.address, is_over.clone());
        tasks.spawn(async move {
            while !*is_over.borrow() && !silent(address, bytes).await.is_empty() {
                tokio::time::sleep(patience).await;
            }
            Ok(())
        });
    }
    for manner in [Manner::Slow, Manner::HalfClosed, Manner::Gone] {
        let (stage, is_over) = (Arc::clone(stage), is_over.clone());
        tasks.spawn(async move {
            while !*is_over.borrow() && !stage.leaves() {
                let certificates = stage.certificates();
                let turn = trying(&stage, manner).await;
                tolerate(&stage, certificates, turn).await?;
            }
            Ok(())
        });
    }
}

/// Peers that never get as far as a request; none when nobody listens.
async fn silent(address: SocketAddr, bytes: &[u8]) -> Vec<TcpStream> {
    let mut peers = Vec::new();
    for _ in 0..SILENT {
        peers.extend(half_open(address, bytes).await);
    }
    peers
}

/// Sends the bytes slowly and closes its own half.
async fn half_open(address: SocketAddr, bytes: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    for byte in bytes.chunks(7) {
        stream.write_all(byte).await.ok()?;
    }
    stream.shutdown().await.ok()?;
    Some(stream)
}

/// How a peer treats its good request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Some bytes at a time, each in a record of its own.
    Slow,
    /// It sends no more and may get an answer.
    HalfClosed,
    /// It goes without one.
    Gone,
}

async fn trying(stage: &Stage, manner: Manner) -> Result<()> {
    let client = stage.party("client", HttpVersion::Http1)?;
    let before = stage.policy();
    let mut peer = RawConnection::open(stage.address, &stage.pki, Some(&client.signer)).await?;
    let policy = before.filter(|_| before == stage.policy());
    let service = stage.service();
    let token = client.token(&stage.issuer, "slow")?;
    let proof = client.proof(&token, &peer.exporter()?)?;
    for secret in [&token, &proof, &peer.exporter()?.to_base64url()] {
        stage.tally.remember_secret(secret);
    }
    let request = format!(
        "GET /orders HTTP/1.1\r\nHost: {SERVICE}\r\nAuthorization: Bearer {token}\r\nSession-Binding-Proof: {proof}\r\n\r\n"
    );
    match manner {
        Manner::Slow => match sip(&mut peer, request.as_bytes()).await {
            Ok(answer) => {
                let service = service.filter(|_| service == stage.service());
                let verdicts = Kind::Good.verdicts(policy, service);
                stage
                    .tally
                    .note_verdict(Kind::Good, &outcome(&answer), &verdicts);
            }
            Err(_) if stage.drains() => stage.tally.note_sent_away(),
            Err(error) => stage.tally.note_failure(&error.to_string()),
        },
        // Whether there is an answer is Envoy's to decide.
        Manner::HalfClosed => {
            let _ = peer.exchange(request.as_bytes(), 0).await;
            let _ = peer.half_close().await;
            let _ = peer.exchange(&[], 1).await;
        }
        Manner::Gone => {
            let _ = peer.exchange(request.as_bytes(), 0).await;
        }
    }
    Ok(())
}

async fn sip(peer: &mut RawConnection, request: &[u8]) -> Result<String> {
    for bytes in request.chunks(SIP) {
        peer.exchange(bytes, 0).await?;
        tokio::time::sleep(SIP_PAUSE).await;
    }
    let answer = peer.exchange(&[], 1).await?;
    if answer.is_empty() {
        return Err("closed without an answer".into());
    }
    Ok(answer)
}

/// Reads the outcome off the bytes of an answer.
fn outcome(answer: &str) -> Outcome {
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let error = answer.split(r#"error=""#).nth(1);
    match status {
        Some(200) => Outcome::Passed,
        Some(401) => Outcome::Refused(
            error
                .and_then(|rest| rest.split('"').next())
                .map(str::to_owned),
        ),
        status => Outcome::Status(status.unwrap_or_default()),
    }
}
