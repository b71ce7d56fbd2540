//! The HTTP filter `prover`: adds to each request the proof that fits the connection it goes out on.
//!
//! It runs in the cluster's upstream filter chain, once per attempt: after a retry it sees the request
//! again, on another connection. What the application sent as a proof is removed in any case.

use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tls_session_binding::authorization::Credentials;
use tls_session_binding::proof::HEADER;
use tls_session_binding_client::AccessTokenHash;
use tls_session_binding_client::proof::Proof;
use tls_session_binding_client::proofs::Origin;

use crate::config::Mistakes;
use crate::config::prover::{Claims, ProverConfig, Unproved};
use crate::metrics::{Counter, count};
use crate::upstream;
use crate::waiting::{self, Cluster};

mod attempt;
mod exchange;
mod per_request;

pub use attempt::{Attempt, Step};
pub use exchange::Exchange;

/// What the challenge of a refused proof says (PROTOCOL 3.5).
const INVALID_PROOF: &[u8] = b"error=\"invalid_proof\"";
/// What it says when a new proof mends it.
const MEND_PROOF: &[u8] = b"mend=\"proof\"";

/// Why a request is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Malformed,
    NotAllowed,
    NoConnection,
    Unprovable,
}

/// The filter as configured.
#[derive(Debug)]
pub struct Prover {
    config: ProverConfig,
    /// Whose requests they are.
    pub cluster: Cluster,
}

impl Prover {
    /// Reads the configuration.
    ///
    /// # Errors
    /// All mistakes of the configuration.
    pub fn load(config: &[u8]) -> Result<Self, Mistakes> {
        Ok(Self {
            config: ProverConfig::parse(config)?,
            cluster: Cluster::another(),
        })
    }

    /// The request's headers are there. `claims` are those of the route, if it has its own.
    pub fn request(
        &self,
        exchange: &dyn Exchange,
        attempt: &mut Attempt,
        claims: Option<Claims>,
    ) -> Step {
        exchange.set_request_header(HEADER, None);
        #[cfg(feature = "panic-on-demand")]
        exchange.request_header(":path", &mut |paths| {
            paths
                .iter()
                .copied()
                .for_each(crate::demand::panic_if_asked);
        });
        attempt.number = exchange.attempts();
        if attempt.number.is_some_and(|number| number > 1) {
            // An earlier attempt that still waits is to give way at once.
            waiting::wake(self.cluster);
        }
        attempt.find(exchange);
        upstream::end_what_is_over();
        match self.token_to_prove(exchange) {
            Err(refusal) => refuse(exchange, refusal),
            Ok(None) => {
                count(Counter::RequestsUnproved);
                Step::Continue
            }
            Ok(Some(token)) => {
                attempt.token = Some(token);
                attempt.claims = claims.unwrap_or(self.config.claims);
                if exchange.connection_id().is_none() {
                    count(Counter::Waits);
                    return Step::Wait {
                        until: Instant::now() + self.config.max_wait,
                    };
                }
                self.send(exchange, attempt)
            }
        }
    }

    /// The request has its connection, has waited too long, or has made a further attempt.
    pub fn resume(&self, exchange: &dyn Exchange, attempt: &mut Attempt) -> Step {
        attempt.find(exchange);
        if attempt.is_superseded(exchange) {
            exchange.give_up("superseded");
            Step::Answered
        } else if exchange.connection_id().is_some() {
            self.send(exchange, attempt)
        } else {
            refuse(exchange, Refusal::NoConnection)
        }
    }

    fn send(&self, exchange: &dyn Exchange, attempt: &mut Attempt) -> Step {
        match self.prove(exchange, attempt) {
            Ok(proof) => {
                exchange.set_request_header(HEADER, Some(proof.as_str().as_bytes()));
                Step::Continue
            }
            Err(refusal) => refuse(exchange, refusal),
        }
    }

    /// The response's headers are there: a refused proof is not sent again.
    pub fn response(&self, exchange: &dyn Exchange, attempt: &mut Attempt) {
        // Attempts share the request's headers: an internal redirect would take the proof to a cluster
        // without prover.
        exchange.set_request_header(HEADER, None);
        attempt.find(exchange);
        let mut refused = false;
        exchange.response_header("www-authenticate", &mut |values| {
            refused = values.iter().any(|value| is_mended_by_proof(value));
        });
        if !refused {
            return;
        }
        count(Counter::ProofsRefused);
        if let (Some(token), Some(connection), Some(proof)) = (
            &attempt.token,
            attempt.connection().cloned(),
            attempt.sent.take(),
        ) {
            connection.refused(token, &proof, now());
        }
    }

    /// The response seems to be complete: whether its end was a connection cut off.
    pub fn response_is_truncated(&self, exchange: &dyn Exchange, attempt: &Attempt) -> bool {
        let recall = || {
            let id = exchange.connection_id()?;
            upstream::CONNECTIONS.recall(id)
        };
        let connection = attempt.connection().cloned().or_else(recall);
        let truncated = connection.is_some_and(|connection| connection.is_truncated());
        if truncated {
            count(Counter::ResponsesTruncated);
        }
        truncated
    }

    fn token_to_prove(&self, exchange: &dyn Exchange) -> Result<Option<AccessTokenHash>, Refusal> {
        let mut credentials = Err(Refusal::Malformed);
        exchange.request_header("authorization", &mut |values| {
            credentials = match Credentials::parse(values) {
                Ok(Credentials::Bearer { token, .. }) => Ok(Some(token.hash())),
                Ok(Credentials::None | Credentials::Other { .. }) => Ok(None),
                Err(_) => Err(Refusal::Malformed),
            };
        });
        match credentials? {
            None => unproved(self.config.without_token),
            Some(_) if !self.admits(exchange) => unproved(self.config.not_allowed),
            token => Ok(token),
        }
    }

    fn admits(&self, exchange: &dyn Exchange) -> bool {
        if self.config.allow.is_empty() {
            return true;
        }
        let authority = exchange::only(exchange, ":authority");
        let path = exchange::only(exchange, ":path");
        self.config.allow.admit(&authority, &path)
    }

    fn prove(&self, exchange: &dyn Exchange, attempt: &mut Attempt) -> Result<Proof, Refusal> {
        // A connection of another transport socket has no exporter value.
        let connection = attempt.connection().ok_or(Refusal::Unprovable)?;
        let connection = Rc::clone(connection);
        let token = attempt.token.as_ref().ok_or(Refusal::Unprovable)?;
        if !attempt.claims.is_empty() {
            return per_request::proof(exchange, &connection, token, attempt.claims, now())
                .map_err(|_| Refusal::Unprovable);
        }
        let now = now();
        let oldest = now.saturating_sub(self.config.proof_lifetime.as_secs());
        let (proof, origin) = connection
            .proof(token, now, oldest)
            .map_err(|_| Refusal::Unprovable)?;
        count(match origin {
            Origin::Made => Counter::ProofsMade,
            Origin::Reused => Counter::ProofsReused,
        });
        attempt.sent = Some(proof.clone());
        Ok(proof)
    }
}

fn unproved(policy: Unproved) -> Result<Option<AccessTokenHash>, Refusal> {
    match policy {
        Unproved::Pass => Ok(None),
        Unproved::Refuse => Err(Refusal::NotAllowed),
    }
}

fn refuse(exchange: &dyn Exchange, refusal: Refusal) -> Step {
    let (status, reason, counter) = match refusal {
        Refusal::Malformed => (400, "authorization_malformed", Counter::RequestsMalformed),
        Refusal::NotAllowed => (403, "proof_not_allowed", Counter::RequestsNotAllowed),
        Refusal::NoConnection => (503, "no_connection_in_time", Counter::WaitsExpired),
        Refusal::Unprovable => (
            503,
            "connection_cannot_be_proved_to",
            Counter::RequestsUnprovable,
        ),
    };
    count(counter);
    // An answer ends the whole request, and with hedging an earlier attempt may be the one that lives.
    if exchange.attempts().is_none_or(|attempts| attempts <= 1) {
        exchange.answer(status, reason);
    } else {
        exchange.give_up(reason);
    }
    Step::Answered
}

/// Whether a challenge asks for another proof, or comes of a verifier that does not tell what mends.
fn is_mended_by_proof(challenge: &[u8]) -> bool {
    contains(challenge, INVALID_PROOF)
        && (contains(challenge, MEND_PROOF) || !contains(challenge, b"mend="))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
