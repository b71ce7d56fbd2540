//! What becomes of a proof: known elsewhere, or verified, checked for replay, and remembered.

use std::rc::Rc;

use super::host::Host;
use super::{Admitted, CacheEvent, Judgement};
use crate::cache::SharedBindings;
use crate::certificate::ClientCertificate;
use crate::config::Config;
use crate::error::{HostFault, Refusal};
use crate::proof::UntrustedProof;
use crate::replay::Slot;
use crate::signature::SignatureVerifier;
use crate::state::{Presented, State};
use crate::verify::{Connection, PresentedToken, VerifiedBinding, verify};

/// How often a `jti` is tried to be remembered while other workers write the same bucket.
const MAX_SWAPS: usize = 8;

impl<H: Host, S: SignatureVerifier> Judgement<'_, H, S> {
    /// Verifies a proof, unless it is known (V-e to V-i).
    pub(super) fn admit_proof(
        &mut self,
        token: &PresentedToken<'_>,
        certificate: ClientCertificate,
        proof: &[u8],
    ) -> Result<Admitted, Refusal> {
        let connection = Connection {
            exporter: *self.facts.exporter()?,
            certificate,
        };
        let presented = token.presentation(self.rule, &connection.exporter, proof);
        if let Some(known) = self.find_local(&presented) {
            return Ok(known);
        }
        let proof = UntrustedProof::parse(proof)?;
        if proof.is_for_one_request() {
            let verified = self.verify(&proof, token, &connection)?;
            self.carry(Presented::PerRequest);
            return Ok(Admitted::session_bound(&verified));
        }
        self.admit_connection_level(&proof, token, &connection)
    }

    fn admit_connection_level(
        &mut self,
        proof: &UntrustedProof<'_>,
        token: &PresentedToken<'_>,
        connection: &Connection,
    ) -> Result<Admitted, Refusal> {
        let now = self.facts.now()?;
        let presented = token.presentation(self.rule, &connection.exporter, proof.text);
        let shared = shared_bindings(self.config, self.state, self.host);
        let slot = shared.map(|shared| {
            let key = shared_key(&shared);
            let (value, cas) = self.host.shared(&key);
            (
                key,
                shared.look_up(value, presented, &connection.certificate),
                cas,
            )
        });
        if let Some(known) = slot.as_ref().and_then(|(_, entry, _)| entry.find(now)) {
            self.cache = CacheEvent::SharedHit;
            let certificate = &connection.certificate;
            self.state.bindings.restore(&presented, certificate, known);
            self.carry(Presented::ConnectionLevel(Rc::from(proof.text)));
            return Ok(Admitted::known(&known));
        }
        let verified = self.verify(proof, token, connection)?;
        self.state.bindings.insert(&verified, now);
        if let Some((key, entry, cas)) = slot
            && let Some(next) = entry.insert(&verified, now)
        {
            // Losing a race for the shared value costs a verification later.
            self.host.swap_shared(&key, &next, cas);
        }
        self.carry(Presented::ConnectionLevel(Rc::from(proof.text)));
        Ok(Admitted::session_bound(&verified))
    }

    fn verify<'v>(
        &mut self,
        proof: &UntrustedProof<'v>,
        token: &PresentedToken<'v>,
        connection: &'v Connection,
    ) -> Result<VerifiedBinding<'v>, Refusal> {
        self.cache = CacheEvent::Miss;
        let now = self.facts.now()?;
        let mut line = self.request.line;
        line.target.authority = self.config.client_authority.of(line.target.authority);
        let verified = verify(
            proof,
            token,
            &line,
            connection,
            self.rule,
            now,
            self.signatures,
        )?;
        self.verified_since = Some(self.facts.nanos()?);
        self.refuse_replay(&verified, connection, now)?;
        Ok(verified)
    }

    /// Remembers the `jti` of a verified proof, if it has one (V-i).
    fn refuse_replay(
        &self,
        verified: &VerifiedBinding<'_>,
        connection: &Connection,
        now: u64,
    ) -> Result<(), Refusal> {
        let Some(jti) = verified.jti() else {
            return Ok(());
        };
        let until = (self.config).acceptable_until(&verified.request, verified.issued_at);
        let until = until.max(self.rule.proof.last_second(verified.issued_at));
        let slot = Slot::new(self.host.connection_id()?, &connection.exporter, jti);
        let key = format!("tls_session_binding.replay.{}", slot.bucket());
        for _ in 0..MAX_SWAPS {
            let (bucket, cas) = self.host.shared(&key);
            let next = slot.remember(&bucket, until, now)?;
            if self.host.swap_shared(&key, &next, cas) {
                return Ok(());
            }
        }
        Err(HostFault::ReplayMemoryUnusable.into())
    }
}

/// The slot of shared memory for this connection; `None` if nothing is shared or the cache is off.
pub(super) fn shared_bindings(
    config: &Config,
    state: &State,
    host: &impl Host,
) -> Option<SharedBindings> {
    if !host.shares_bindings() {
        return None;
    }
    SharedBindings::new(config.cache, state.generation, host.connection_id().ok()?)
}

pub(super) fn shared_key(shared: &SharedBindings) -> String {
    format!("tls_session_binding.bindings.{}", shared.slot())
}
