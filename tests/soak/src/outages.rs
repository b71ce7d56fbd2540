//! A service that is down, and certificates that are replaced while connections live.

use std::net::SocketAddr;
use std::time::Duration;

use tls_session_binding_client::dev::pki;
use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::present;
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::upstream::Upstream;
use tokio::runtime::{Builder, Runtime};

use crate::load::Held;
use crate::scene::Scene;
use crate::stage::Stage;

/// Time for the service to be gone, or back, for all of Envoy's workers; and how long it is down.
const GOING: Duration = Duration::from_secs(1);
const DOWN: Duration = Duration::from_secs(4);
/// How long the module may take to see new files.
const ROTATION_LIMIT: Duration = Duration::from_secs(30);
/// Connections that live through a rotation.
const SURVIVORS: usize = 20;

/// Takes the service away, and brings it back: meanwhile good requests get Envoy's 503, and bad ones are
/// refused as ever.
pub(crate) async fn service_down(scene: &mut Scene) -> Result<()> {
    let stage = &scene.stage;
    stage.set_service(None);
    let address = scene
        .service
        .take()
        .map(|service| service.address)
        .ok_or("no service")?;
    // What runs on its threads ends a little after it.
    tokio::time::sleep(GOING).await;
    stage.set_service(Some(false));
    tokio::time::sleep(DOWN).await;
    stage.set_service(None);
    scene.service = Some(Service::start(address).await?);
    tokio::time::sleep(GOING).await;
    stage.set_service(Some(true));
    Ok(())
}

/// Replaces CA and all certificates while connections are open: they go on, and the old certificates
/// open no others.
pub(crate) async fn rotation(scene: &Scene) -> Result<()> {
    let stage = &scene.stage;
    let before = stage.party("client", HttpVersion::Http2)?;
    let survivors = Held::open(stage, SURVIVORS).await?;
    stage.change_certificates();
    pki::ensure(&stage.pki, true)?;
    let taken_up = async {
        while !is_served(stage, &stage.party("client", HttpVersion::Http2)?).await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok::<_, tls_session_binding_e2e::Error>(())
    };
    tokio::time::timeout(ROTATION_LIMIT, taken_up)
        .await
        .map_err(|_| "the module does not take up new certificates")??;
    stage.change_certificates();
    if survivors.ask(stage).await? < SURVIVORS {
        stage
            .tally
            .note_failure("connections did not live through the rotation");
    }
    if is_served(stage, &before).await {
        stage
            .tally
            .note_failure("a certificate of the old CA still opens connections");
    }
    Ok(())
}

/// Whether a connection can be opened and a request on it is answered.
async fn is_served(stage: &Stage, party: &Party) -> bool {
    let answer = async {
        let connection = party.connect().await?;
        let token = party.token(&stage.issuer, "alice")?;
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
