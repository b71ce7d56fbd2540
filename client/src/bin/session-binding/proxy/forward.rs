//! One request's way through the proxy.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, Response, request};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use serde_json::json;
use tls_session_binding::challenge::Mend;
use tls_session_binding_client::AccessTokenHash;
use tls_session_binding_client::http::{
    Body, FileConnector, Forwarded, HttpError, ProofUse, Proving, whole,
};

use super::activity::{Activity, Watched};
use super::fault::Fault;
use super::metrics::{Metrics, UnderWay};
use super::pool::{Lease, Pool};
use super::request::{Application, remove_hop_by_hop};
use super::tunnel;

/// A body of at most this size is kept, so that its request can be sent again.
const REPEATABLE_BYTES: u64 = 64 << 10;
/// Connections that are tried for one request. One may be closing as the request comes.
const ATTEMPTS: usize = 3;

/// The proxy's parts.
pub(super) struct Proxy {
    pub(super) pool: Arc<Pool>,
    pub(super) tunnels: FileConnector,
    pub(super) connect: Option<String>,
    pub(super) application: Application,
    pub(super) proving: Proving,
    pub(super) idle: Duration,
    pub(super) metrics: Arc<Metrics>,
}

/// An answer of the service, for the access line.
pub(super) struct Served {
    pub(super) response: Response<Body>,
    pub(super) proof: &'static str,
    pub(super) connection: Option<u64>,
}

/// A request that may be sent more than once, if its body is there.
struct Attempt {
    head: request::Parts,
    body: Sendable,
    token: Option<AccessTokenHash>,
}

enum Sendable {
    Whole(Bytes),
    Stream(Option<Body>),
}

impl Proxy {
    /// Answers a request, counts it and writes its access line.
    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let under_way = self.metrics.begin();
        let started = Instant::now();
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let served = self.serve(request, under_way).await;
        let (response, proof, connection, fault) = match served {
            Ok(served) => (served.response, served.proof, served.connection, None),
            Err(fault) => (fault.response(), "none", None, Some(fault.code())),
        };
        let status = response.status().as_u16();
        self.metrics.end(status, proof, fault);
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |elapsed| elapsed.as_secs_f64());
        println!(
            "{}",
            json!({
                "time": time, "method": method.as_str(), "path": path, "status": status, "proof": proof,
                "connection": connection, "fault": fault, "ms": started.elapsed().as_millis(),
            })
        );
        response
    }

    async fn serve(
        &self,
        mut request: Request<Incoming>,
        under_way: UnderWay,
    ) -> Result<Served, Fault> {
        let upgrade = tunnel::asked_for(&mut request);
        let (request, token) = self.application.admit(request)?;
        let activity = Activity::now();
        if let Some(upgrade) = upgrade {
            return self.tunnel(request, token, upgrade, under_way).await;
        }
        let (head, body) = request.into_parts();
        let attempt = Attempt {
            head,
            body: self.sendable(body, &activity).await?,
            token,
        };
        self.forward(attempt, &activity, under_way).await
    }

    /// Takes in a body that is small and whole; passes on any other as it comes.
    async fn sendable(&self, body: Incoming, activity: &Activity) -> Result<Sendable, Fault> {
        let size = body.size_hint().exact();
        let body = Watched::request(body, activity, ());
        if size.is_none_or(|size| size > REPEATABLE_BYTES) {
            return Ok(Sendable::Stream(Some(body)));
        }
        tokio::select! {
            whole = body.collect() => match whole {
                Ok(whole) => Ok(Sendable::Whole(whole.to_bytes())),
                Err(_) => Err(Fault::BodyUnreadable),
            },
            () = activity.ends(self.idle) => Err(Fault::BodyUnreadable),
        }
    }

    async fn forward(
        &self,
        mut attempt: Attempt,
        activity: &Activity,
        under_way: UnderWay,
    ) -> Result<Served, Fault> {
        let (mut renewed, mut repeated) = (false, false);
        for number in 1..=ATTEMPTS {
            let is_last = number == ATTEMPTS;
            let lease = self.pool.lease().await?;
            let Some(request) = attempt.request() else {
                return Err(Fault::ExchangeFailed);
            };
            let token = attempt.token.as_ref();
            let sent = tokio::select! {
                sent = lease.session().forward(request, token, self.proving) => sent,
                () = activity.ends(self.idle) => return Err(Fault::ResponseTimedOut),
            };
            match sent {
                Err(mut failure) => {
                    lease.leave();
                    let unsent = failure.unsent.take();
                    let may_repeat = unsent.is_some() || (attempt.is_harmless() && !repeated);
                    if is_last || !may_repeat || !is_of_the_connection(&failure.error) {
                        return Err(Fault::from(&failure.error));
                    }
                    repeated |= unsent.is_none();
                    attempt.put_back(unsent);
                }
                Ok(answer)
                    if answer.refused.is_some() && attempt.is_whole() && !renewed && !is_last =>
                {
                    renewed = true;
                    let wanted = answer.refused.map(|challenge| challenge.mend());
                    if wanted == Some(Mend::Connection) || lease.session().is_closed() {
                        lease.leave();
                    }
                }
                Ok(answer) => return Ok(self.served(answer, renewed, lease, activity, under_way)),
            }
        }
        Err(Fault::ExchangeFailed)
    }

    fn served(
        &self,
        answer: Forwarded,
        renewed: bool,
        lease: Lease,
        activity: &Activity,
        under_way: UnderWay,
    ) -> Served {
        activity.touch();
        let proof = if renewed {
            ProofUse::Renewed
        } else {
            answer.proof
        };
        let connection = Some(lease.number());
        let (mut head, body) = answer.response.into_parts();
        remove_hop_by_hop(&mut head.headers);
        let body = Watched::response(body, activity, self.idle, (lease, under_way));
        Served {
            response: Response::from_parts(head, body),
            proof: name_of(proof),
            connection,
        }
    }
}

impl Attempt {
    fn request(&mut self) -> Option<Request<Body>> {
        let body = match &mut self.body {
            Sendable::Whole(bytes) => whole(bytes.clone()),
            Sendable::Stream(body) => body.take()?,
        };
        Some(Request::from_parts(self.head.clone(), body))
    }

    fn put_back(&mut self, unsent: Option<Request<Body>>) {
        if let (Sendable::Stream(body), Some(unsent)) = (&mut self.body, unsent) {
            *body = Some(unsent.into_body());
        }
    }

    const fn is_whole(&self) -> bool {
        matches!(self.body, Sendable::Whole(_))
    }

    /// Whether the service may get it twice (RFC 9110 section 9.2.1).
    fn is_harmless(&self) -> bool {
        self.is_whole()
            && matches!(
                self.head.method,
                Method::GET | Method::HEAD | Method::OPTIONS
            )
    }
}

/// Whether another connection may do better.
const fn is_of_the_connection(error: &HttpError) -> bool {
    matches!(error, HttpError::Closed(_) | HttpError::Exchange(_))
}

pub(super) const fn name_of(proof: ProofUse) -> &'static str {
    match proof {
        ProofUse::NotSent => "none",
        ProofUse::Made => "made",
        ProofUse::Reused => "reused",
        ProofUse::Renewed => "renewed",
    }
}
