//! Upgrades (WebSocket): a connection of its own to the service for each.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tls_session_binding_client::AccessTokenHash;
use tls_session_binding_client::http::{Body, Session, whole};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};

use super::activity::{Activity, Watched};
use super::fault::Fault;
use super::forward::{Proxy, Served, name_of};
use super::metrics::UnderWay;
use super::pool::connect;
use super::request::remove_hop_by_hop;

const CHUNK_BYTES: usize = 16 << 10;

/// What the application wants to speak, and its end of the tunnel.
pub(super) struct Upgrade {
    protocol: HeaderValue,
    application: OnUpgrade,
}

/// The upgrade that a request asks for. One to HTTP/2 is none: the server need not do it (RFC 9110 section 7.8).
pub(super) fn asked_for(request: &mut Request<Incoming>) -> Option<Upgrade> {
    let protocol = request.headers().get(UPGRADE)?.clone();
    let named = |value: &HeaderValue| {
        value.to_str().is_ok_and(|value| {
            value
                .split(',')
                .any(|name| name.trim().eq_ignore_ascii_case("upgrade"))
        })
    };
    let asked = request.headers().get_all(CONNECTION).iter().any(named);
    let is_http2 = protocol.as_bytes().eq_ignore_ascii_case(b"h2c");
    (asked && !is_http2).then(|| Upgrade {
        protocol,
        application: hyper::upgrade::on(request),
    })
}

impl Proxy {
    pub(super) async fn tunnel(
        &self,
        request: Request<Incoming>,
        token: Option<AccessTokenHash>,
        upgrade: Upgrade,
        under_way: UnderWay,
    ) -> Result<Served, Fault> {
        let connector = self.tunnels.current();
        let session = connect(
            &connector,
            self.connect.as_deref(),
            &self.application.upstream,
        )
        .await
        .map_err(|error| Fault::from(&error))?;
        let number = self.metrics.connection_opened();
        let activity = Activity::now();
        let mut request = request.map(|body| Watched::request(body, &activity, ()));
        ask(request.headers_mut(), &upgrade.protocol);
        let answer = tokio::select! {
            answer = session.forward(request, token.as_ref(), self.proving) => answer,
            () = activity.ends(self.idle) => return Err(Fault::ResponseTimedOut),
        };
        let mut answer = answer.map_err(|failure| Fault::from(&failure.error))?;
        let proof = name_of(answer.proof);
        if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let service = hyper::upgrade::on(&mut answer.response);
            let kept = (session, under_way);
            tokio::spawn(join(
                upgrade.application,
                service,
                activity,
                self.idle,
                kept,
            ));
            let (head, _) = answer.response.into_parts();
            return Ok(served(
                Response::from_parts(head, whole(bytes::Bytes::new())),
                proof,
                number,
            ));
        }
        let (mut head, body) = answer.response.into_parts();
        remove_hop_by_hop(&mut head.headers);
        let kept = (Arc::new(session), under_way);
        let body = Watched::response(body, &activity, self.idle, kept);
        Ok(served(Response::from_parts(head, body), proof, number))
    }
}

fn served(response: Response<Body>, proof: &'static str, number: u64) -> Served {
    Served {
        response,
        proof,
        connection: Some(number),
    }
}

fn ask(headers: &mut HeaderMap, protocol: &HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol.clone());
}

/// Passes bytes both ways until both ends have said theirs, or nothing moves for too long.
async fn join(
    application: OnUpgrade,
    service: OnUpgrade,
    activity: Activity,
    idle: Duration,
    _kept: (Session, UnderWay),
) {
    let (Ok(application), Ok(service)) = (application.await, service.await) else {
        return;
    };
    let (from_application, to_application) = split(application);
    let (from_service, to_service) = split(service);
    let both = async {
        tokio::join!(
            pass(from_application, to_service, &activity),
            pass(from_service, to_application, &activity)
        )
    };
    tokio::select! {
        _ = both => {}
        () = activity.ends(idle) => {}
    }
}

type Io = TokioIo<Upgraded>;

fn split(upgraded: Upgraded) -> (ReadHalf<Io>, WriteHalf<Io>) {
    tokio::io::split(TokioIo::new(upgraded))
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    activity: &Activity,
) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        activity.touch();
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(chunk.get(..read).unwrap_or_default()).await?;
        to.flush().await?;
    }
}
