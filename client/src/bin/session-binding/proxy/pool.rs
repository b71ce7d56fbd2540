//! Connections to the service, and which of them a request goes out on.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use tls_session_binding::certificate::ClientCertificate;
use tls_session_binding_client::http::{Connector, FileConnector, HttpError, Session};
use tls_session_binding_client::signer::Signer;
use tokio::sync::Notify;

use super::fault::Fault;
use super::metrics::Metrics;
use crate::unix_time;

/// Requests at once on an HTTP/2 connection: what RFC 9113 section 6.5.2 recommends servers to allow at least.
const STREAMS: usize = 100;
/// Time to get a place on a connection. Longer than it takes to open one.
const PATIENCE: Duration = Duration::from_secs(12);

/// Connections to one service.
pub(super) struct Pool {
    connector: FileConnector,
    upstream: Uri,
    address: Option<String>,
    max: usize,
    connections: Mutex<Vec<Arc<Connection>>>,
    /// Who opens a connection: one at a time, so that the first takes up those who wait with it.
    opening: tokio::sync::Mutex<()>,
    freed: Notify,
    metrics: Arc<Metrics>,
}

/// A connection in use.
struct Connection {
    session: Session,
    number: u64,
    not_after: u64,
    in_flight: AtomicUsize,
}

/// A request's place on a connection.
pub(super) struct Lease {
    connection: Arc<Connection>,
    pool: Arc<Pool>,
}

impl Pool {
    pub(super) fn new(
        connector: FileConnector,
        upstream: Uri,
        address: Option<String>,
        max: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            connector,
            upstream,
            address,
            max,
            connections: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            freed: Notify::new(),
            metrics,
        }
    }

    /// Why the files as they stand are not in use.
    pub(super) fn problem(&self) -> Option<String> {
        self.connector.problem()
    }

    /// When the certificate of new connections ends.
    pub(super) fn certificate_expires_at(&self) -> u64 {
        not_after(self.connector.current().signer())
    }

    /// How many connections take requests.
    pub(super) fn size(&self) -> usize {
        self.connections().len()
    }

    /// A place on a connection; opens one if there is room.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, Fault> {
        tokio::time::timeout(PATIENCE, self.place())
            .await
            .unwrap_or(Err(Fault::TooManyRequests))
    }

    async fn place(self: &Arc<Self>) -> Result<Lease, Fault> {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(lease) = self.pick() {
                return Ok(lease);
            }
            if self.size() >= self.max {
                freed.await;
                continue;
            }
            let _opening = tokio::select! {
                opening = self.opening.lock() => opening,
                () = &mut freed => continue,
            };
            if let Some(lease) = self.pick() {
                return Ok(lease);
            }
            if self.size() < self.max {
                self.open().await.map_err(|error| Fault::from(&error))?;
            }
        }
    }

    /// The least used connection that takes requests. Those with an identity of before take none any more; they end
    /// with their last request.
    fn pick(self: &Arc<Self>) -> Option<Lease> {
        let current = self.connector.current();
        let mut connections = self.connections();
        connections.retain(|one| one.takes_requests(&current));
        let connection = connections
            .iter()
            .filter(|one| one.in_flight.load(SeqCst) < one.limit())
            .min_by_key(|one| one.in_flight.load(SeqCst))?;
        connection.in_flight.fetch_add(1, SeqCst);
        Some(Lease {
            connection: Arc::clone(connection),
            pool: Arc::clone(self),
        })
    }

    async fn open(&self) -> Result<(), HttpError> {
        let connector = self.connector.current();
        let session = connect(&connector, self.address.as_deref(), &self.upstream).await?;
        let connection = Connection {
            not_after: not_after(session.signer()),
            session,
            number: self.metrics.connection_opened(),
            in_flight: AtomicUsize::new(0),
        };
        self.connections().push(Arc::new(connection));
        self.freed.notify_waiters();
        Ok(())
    }

    fn connections(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects to the service, or to where it is said to be.
pub(super) async fn connect(
    connector: &Connector,
    address: Option<&str>,
    upstream: &Uri,
) -> Result<Session, HttpError> {
    match address {
        Some(address) => connector.connect_to(address, upstream).await,
        None => connector.connect(upstream).await,
    }
}

fn not_after(signer: &Signer) -> u64 {
    signer
        .certified_key()
        .end_entity_cert()
        .ok()
        .and_then(|leaf| ClientCertificate::from_der(leaf).ok())
        .map_or(u64::MAX, |certificate| certificate.not_after())
}

impl Connection {
    fn limit(&self) -> usize {
        if self.session.facts().http2 {
            STREAMS
        } else {
            1
        }
    }

    fn takes_requests(&self, current: &Connector) -> bool {
        !self.session.is_closed()
            && Arc::ptr_eq(self.session.signer(), current.signer())
            && self.not_after > unix_time()
    }
}

impl Lease {
    pub(super) fn session(&self) -> &Session {
        &self.connection.session
    }

    pub(super) fn number(&self) -> u64 {
        self.connection.number
    }

    /// Has later requests go out on other connections.
    pub(super) fn leave(&self) {
        self.pool
            .connections()
            .retain(|one| !Arc::ptr_eq(one, &self.connection));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.connection.in_flight.fetch_sub(1, SeqCst);
        self.pool.freed.notify_waiters();
    }
}
