//! Peers that are slow, silent or gone; a service that is down; certificates that are replaced.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tls_session_binding_client::dev::pki;
use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::present;
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::upstream::Upstream;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::listener::Scene;
use crate::load;
use crate::tally::Tally;

/// The beginning of a `ClientHello` that never ends.
const HALF_A_HELLO: &[u8] = &[
    0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
];
const PLAIN_HTTP: &[u8] = b"GET / HTTP/1.1\r\nHost: service.demo\r\n\r\n";
/// How long the module may take to see new files.
const ROTATION_LIMIT: Duration = Duration::from_secs(30);
/// Silent connections at the same time.
const SILENT: usize = 50;

/// Starts every fault; each repeats itself until the time is over.
pub(crate) fn spawn_all(faults: &mut JoinSet<()>, address: SocketAddr, until: Instant) {
    for (bytes, patience) in [
        (HALF_A_HELLO, Duration::from_secs(2)),
        (PLAIN_HTTP, Duration::from_millis(50)),
        (&[][..], Duration::from_secs(1)),
        (&[0xff; 512][..], Duration::from_millis(50)),
    ] {
        faults.spawn(async move {
            while Instant::now() < until {
                let mut silent = Vec::new();
                for _ in 0..SILENT {
                    silent.extend(half_open(address, bytes).await);
                }
                tokio::time::sleep(patience).await;
            }
        });
    }
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

/// Takes the service away for some requests, and brings it back.
pub(crate) async fn service_down(scene: &mut Scene, tally: &Tally) -> Result<()> {
    let address = scene
        .service
        .take()
        .map(|service| service.address)
        .ok_or("no service")?;
    // What runs on its threads ends a little after it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let down = load::while_down(scene, tally).await;
    scene.service = Some(Service::start(address).await?);
    down
}

/// Replaces CA and all certificates while a connection is open: it goes on, and the old ones open no
/// other.
pub(crate) async fn rotation(scene: &Scene, tally: &Tally) -> Result<()> {
    let before = scene.party("client", HttpVersion::Http2)?;
    let connection = before.connect().await?;
    load::genuine(scene, tally, &before, &connection).await?;
    pki::ensure(&scene.pki(), true)?;
    let taken_up = async {
        while !is_served(scene, &scene.party("client", HttpVersion::Http2)?).await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok::<_, tls_session_binding_e2e::Error>(())
    };
    tokio::time::timeout(ROTATION_LIMIT, taken_up)
        .await
        .map_err(|_| "the module does not take up new certificates")??;
    load::genuine(scene, tally, &before, &connection).await?;
    if is_served(scene, &before).await {
        tally.note_failure("a certificate of the old CA still opens connections");
    }
    Ok(())
}

/// Whether a connection can be opened and a request on it is answered.
async fn is_served(scene: &Scene, party: &Party) -> bool {
    let answer = async {
        let connection = party.connect().await?;
        let token = party.token(&scene.issuer, "alice")?;
        Ok::<_, tls_session_binding_e2e::Error>(connection.send_as_is(present(&token, None)).await?)
    };
    answer.await.is_ok()
}

/// The service on threads of its own, so that it goes away with all its connections.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    threads: Option<Runtime>,
    _upstream: Upstream,
}

impl Service {
    pub(crate) async fn start(address: SocketAddr) -> Result<Self> {
        let threads = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let upstream = threads.spawn(Upstream::start(address)).await??;
        Ok(Self {
            address: upstream.address,
            threads: Some(threads),
            _upstream: upstream,
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}
