//! One attempt to send a request.

use std::rc::Rc;
use std::time::Instant;

use tls_session_binding_client::AccessTokenHash;
use tls_session_binding_client::proof::Proof;

use super::Exchange;
use crate::config::prover::Claims;
use crate::upstream::Upstream;

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
    /// Tells it from those that wait.
    pub(super) number: u32,
    /// The token that a proof is to be made for.
    pub(super) token: Option<AccessTokenHash>,
    pub(super) claims: Claims,
    /// The connection that a proof was made for. Envoy's answer is that of the latest attempt: with
    /// hedging, another one's.
    pub(super) connection: Option<Rc<Upstream>>,
    /// The connection-level proof that was sent.
    pub(super) sent: Option<Proof>,
}

impl Attempt {
    /// Whether it has its connection, when it has waited for one: the connection of a later attempt, which
    /// only hedging makes while this one lives, is not its own.
    pub fn has_connection(&self, exchange: &dyn Exchange) -> bool {
        exchange.connection_id().is_some() && exchange.latest_attempt() == Some(self.number)
    }
}
