//! One attempt to send a request.

use std::rc::Rc;
use std::time::Instant;

use tls_session_binding_client::AccessTokenHash;
use tls_session_binding_client::proof::Proof;

use super::Exchange;
use crate::config::prover::Claims;
use crate::rotation::Unplaced;
use crate::upstream::{self, Ride, Upstream};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It goes on.
    Continue,
    /// It has no connection yet: [`Prover::resume`](super::Prover::resume) is to be called, `until` then at the latest.
    Wait {
        /// End of the wait.
        until: Instant,
    },
    /// It was answered here.
    Answered,
}

/// One attempt, between its hooks.
#[derive(Debug, Default)]
pub struct Attempt {
    /// How many had begun with it; it tells the attempt from later ones.
    pub(super) number: Option<u64>,
    /// The token that a proof is to be made for.
    pub(super) token: Option<AccessTokenHash>,
    pub(super) claims: Claims,
    pub(super) place: Place,
    /// The connection-level proof that was sent.
    pub(super) sent: Option<Proof>,
}

/// Where an attempt is.
#[derive(Debug, Default)]
pub(super) enum Place {
    /// Nowhere: it has not begun.
    #[default]
    Nowhere,
    /// On a connection that is not known yet.
    Unknown { _unplaced: Unplaced },
    /// On this connection. Envoy's answer is that of the latest attempt: with hedging, another one's.
    On(Ride),
    /// On a connection of another transport socket.
    Elsewhere,
}

impl Attempt {
    /// Whether what Envoy tells of the connection is told of a later attempt, which only hedging makes while
    /// this one lives. If this one waited on, it would hold a connection that it cannot use.
    pub(super) fn is_superseded(&self, exchange: &dyn Exchange) -> bool {
        exchange.attempts() != self.number
    }

    /// Whether it need not wait for its connection any more: it has one, or will never learn which.
    pub fn is_ready(&self, exchange: &dyn Exchange) -> bool {
        exchange.connection_id().is_some() || self.is_superseded(exchange)
    }

    /// Its connection, when it has one of this module's sockets.
    pub(super) fn connection(&self) -> Option<&Rc<Upstream>> {
        match &self.place {
            Place::On(ride) => Some(ride),
            _ => None,
        }
    }

    /// Takes up its connection, if that is known by now.
    pub(super) fn find(&mut self, exchange: &dyn Exchange) {
        if !matches!(self.place, Place::Nowhere | Place::Unknown { .. }) {
            return;
        }
        let id = exchange
            .connection_id()
            .filter(|_| !self.is_superseded(exchange));
        self.place = match id {
            None => Place::Unknown {
                _unplaced: Unplaced::new(),
            },
            Some(id) => upstream::CONNECTIONS
                .recall(id)
                .map_or(Place::Elsewhere, |connection| {
                    Place::On(Ride::on(connection))
                }),
        };
    }
}
