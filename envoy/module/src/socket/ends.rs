//! Both ends of a connection's life: the accepted handshake, and the cause of its end.

use std::time::{Duration, Instant};

use rustls::{Connection, Error, HandshakeKind, ProtocolVersion};
use rustls_pki_types::UnixTime;

use super::host::Host;
use super::{Socket, Stop};
use crate::config::Direction;
use crate::downstream::{self, Downstream};
use crate::failure::{self, Failure};
use crate::metrics::{Handshake, count_handshake};
use crate::rotation::Tenure;
use crate::upstream::{self, Upstream};
use crate::{verify, waiting};

/// How long after a client's end of a handshake the server may still refuse it.
const REFUSAL: Duration = Duration::from_secs(10);

impl Socket {
    /// Once, when the handshake has just been done: notes its facts, then tells Envoy.
    pub(super) fn establish(&self, host: &dyn Host) -> Result<(), Stop> {
        if self.established.get() || self.tls.borrow().is_handshaking() {
            return Ok(());
        }
        self.accept(host).map_err(Stop::Tls)?;
        self.established.set(true);
        self.established_at.set(Some(Instant::now()));
        // May re-enter `write` or `close`: nothing is borrowed here.
        host.connected();
        if self.generation.direction() == Direction::Upstream {
            waiting::wake_worker();
        }
        if self.closed.get() {
            Err(Stop::Closed)
        } else {
            Ok(())
        }
    }

    /// Whether all that waits to be sent is what a server of TLS 1.3 adds to a finished handshake.
    pub(super) fn owes_only_tickets(&self) -> bool {
        let tls = self.tls.borrow();
        self.established.get()
            && matches!(*tls, Connection::Server(_))
            && tls.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    fn accept(&self, host: &dyn Host) -> Result<(), Error> {
        let tls = self.tls.borrow();
        let direction = self.generation.direction();
        let resumed = tls.handshake_kind() == Some(HandshakeKind::Resumed);
        if resumed {
            let chain = tls.peer_certificates().unwrap_or_default();
            self.generation.recheck().recheck(chain, UnixTime::now())?;
        }
        if let Some(chain) = tls.peer_certificates() {
            let connections = self.generation.connections();
            let place = connections.take_in(chain, host.waker())?;
            self.place.replace(Some(place));
        }
        // Set once: this function succeeds once.
        let _ = self
            .protocol
            .set(tls.alpn_protocol().unwrap_or_default().to_vec());
        if let Some(id) = host.connection_id() {
            self.register(host, id, &tls)?;
        }
        count_handshake(direction, Handshake::Done);
        if resumed {
            count_handshake(direction, Handshake::Resumed);
        }
        Ok(())
    }

    fn register(&self, host: &dyn Host, id: u64, tls: &Connection) -> Result<(), Error> {
        let general = |error: &dyn std::error::Error| Error::General(error.to_string());
        match tls {
            Connection::Server(tls) => {
                let facts = Downstream::of(tls).map_err(|error| general(&error))?;
                downstream::CONNECTIONS.remember(id, facts);
            }
            Connection::Client(tls) => {
                let signer = self.generation.signer();
                let ends_at = self.generation.validity().end.saturating_sub(1);
                let tenure = Tenure::new(self.identity, ends_at);
                tenure.attach(host.alarm());
                let facts = Upstream::of(tls, signer, tenure).map_err(|error| general(&error))?;
                let _ = self.upstream.set(upstream::CONNECTIONS.remember(id, facts));
            }
        }
        self.registered.set(Some(id));
        Ok(())
    }

    /// Keeps the cause of the connection's end; a later one is only its echo.
    pub(super) fn note(&self, stop: &Stop) {
        if self.failure.get().is_some() {
            return;
        }
        let (failure, reason) = match stop {
            Stop::Closed if self.established.get() => return,
            Stop::CutOff if self.established.get() => {
                let _ = self.failure.set("closed without close_notify".to_owned());
                return;
            }
            Stop::Closed | Stop::CutOff => {
                (Failure::Closed, "closed during the handshake".to_owned())
            }
            Stop::Tls(error) => (
                Failure::of(error),
                failure::words(error, self.generation.direction()),
            ),
        };
        let _ = self.failure.set(reason);
        if !self.established.get() || (failure == Failure::Alert && self.may_still_be_refused()) {
            count_handshake(self.generation.direction(), Handshake::Failed(failure));
        }
    }

    /// In TLS 1.3 a client is done before the server has looked at its certificate. A server that has sent
    /// something, or has had its time, has accepted it: an alert is about something else.
    pub(super) fn may_still_be_refused(&self) -> bool {
        let since = self.established_at.get().map(|at| at.elapsed());
        self.generation.direction() == Direction::Upstream
            && !self.received.get()
            && since.is_some_and(|since| since < REFUSAL)
    }

    /// What came before may not be all. To be called in `close` and not before: only then has Envoy seen all
    /// that was delivered, so that a response which is complete by its own framing has ended already.
    pub(super) fn mark_truncated(&self) {
        if let Some(connection) = self.upstream.get() {
            connection.mark_truncated();
        }
    }
}

impl Socket {
    /// Requests outlive their connection: they must not call back.
    pub(super) fn detach(&self) {
        if let Some(upstream) = self.upstream.get() {
            upstream.tenure().detach();
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.detach();
        let Some(id) = self.registered.get() else {
            return;
        };
        match self.generation.direction() {
            Direction::Downstream => {
                verify::purge(id);
                downstream::CONNECTIONS.forget(id);
            }
            Direction::Upstream => {
                upstream::CONNECTIONS.forget(id);
                // Who waited for this connection may get another one.
                waiting::wake_worker();
            }
        }
    }
}
