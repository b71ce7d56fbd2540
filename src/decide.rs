//! The decision about one request, in the order of the protocol (draft section 3.3.2 step 5): known, present,
//! confirm, authenticate, known elsewhere, verify, replay, remember.
//!
//! [`Host`] is the one seam to whoever runs this. A [`Decision`] says what happened; acting on it, counting
//! and logging are the caller's.

mod admitted;
mod facts;
mod host;

pub use admitted::{Admitted, Verdict};
pub use host::Host;

use std::rc::Rc;

use crate::access_token::AccessToken;
use crate::authorization::{Credentials, jwts_in};
use crate::cache::SharedBindings;
use crate::certificate::ClientCertificate;
use crate::claims::TokenClaims;
use crate::config::{Config, ConfirmationSource};
use crate::confirmation::Confirmation;
use crate::digest::CertificateThumbprint;
use crate::error::{ClientFault, HostFault, Refusal};
use crate::proof::{self, UntrustedProof};
use crate::replay::Slot;
use crate::request::Request;
use crate::rule::{Mode, Rule, WithoutToken};
use crate::signature::SignatureVerifier;
use crate::state::{Presented, State};
use crate::verify::{
    Connection, Presentation, PresentedToken, VerifiedBinding, verify, verify_certificate,
};
use facts::Facts;

/// How often a `jti` is tried to be remembered while other workers write the same bucket.
const MAX_SWAPS: usize = 8;

/// What was decided about a request.
#[must_use]
pub struct Decision<'c> {
    /// The rule that decided.
    pub rule: &'c Rule,
    /// Whether the request may go on, as what, or why not. With [`Mode::Observe`] a refused request goes on.
    pub outcome: Result<Admitted, Refusal>,
    /// What the cache did.
    pub cache: CacheEvent,
    /// The client certificate, where it was looked at.
    pub certificate: Option<CertificateThumbprint>,
    /// The host's clock when a proof that was then verified in full was presented, in nanoseconds.
    pub verified_since: Option<u64>,
}

/// What the cache had to say of a proof.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheEvent {
    /// There was no proof to look for.
    #[default]
    None,
    /// The proof is known here.
    Hit,
    /// The proof is known in the memory that is shared.
    SharedHit,
    /// The proof had to be verified.
    Miss,
}

/// Decides about one request.
pub fn decide<'c>(
    request: &Request<'_>,
    config: &'c Config,
    state: &mut State,
    host: &impl Host,
    signatures: &impl SignatureVerifier,
) -> Decision<'c> {
    let selection = config.policy.select(&request.line);
    let facts = Facts::new(host, config);
    let mut judgement = Judgement {
        request,
        config,
        rule: selection.rule,
        state,
        host,
        facts: &facts,
        signatures,
        cache: CacheEvent::None,
        certificate: None,
        verified_since: None,
    };
    let outcome = if selection.is_certain {
        judgement.judge()
    } else {
        Err(ClientFault::TargetUnreadable.into())
    };
    Decision {
        rule: selection.rule,
        outcome,
        cache: judgement.cache,
        certificate: judgement.certificate,
        verified_since: judgement.verified_since,
    }
}

/// Drops what is known of the connection that `host` is about, because it ends.
pub fn purge(config: &Config, state: &mut State, host: &impl Host) {
    let facts = Facts::new(host, config);
    if let Ok(exporter) = facts.exporter() {
        state.bindings.purge(exporter);
    }
    let Some(shared) = shared_bindings(config, state, host) else {
        return;
    };
    let key = shared_key(&shared);
    let (value, cas) = host.shared(&key);
    if shared.is_held(&value) {
        host.swap_shared(&key, &[], cas);
    }
}

/// A request that is being judged.
struct Judgement<'a, H, S> {
    request: &'a Request<'a>,
    config: &'a Config,
    rule: &'a Rule,
    state: &'a mut State,
    host: &'a H,
    facts: &'a Facts<'a, H>,
    signatures: &'a S,
    cache: CacheEvent,
    certificate: Option<CertificateThumbprint>,
    verified_since: Option<u64>,
}

impl<'a, H: Host, S: SignatureVerifier> Judgement<'a, H, S> {
    fn judge(&mut self) -> Result<Admitted, Refusal> {
        if let Some(known) = self.find_known() {
            return Ok(known);
        }
        let Some((token, authorization)) = self.present()? else {
            return Ok(Admitted::without_token());
        };
        let claims = self.claims(&token)?;
        let Some((confirmed, needs_proof)) = self.confirm(&claims)? else {
            return Ok(Admitted::unbound());
        };
        let certificate = self.authenticate(&confirmed)?;
        if !needs_proof {
            return Ok(Admitted::certificate_bound(confirmed));
        }
        let token = PresentedToken {
            token,
            authorization,
            claims: &claims,
            are_claims_by_host: self.config.confirmation != ConfirmationSource::Token,
        };
        // V-d
        match self.request.proof[..] {
            [proof] => self.admit_proof(&token, certificate, proof),
            _ => match self.take_carried()? {
                Presented::ConnectionLevel(proof) => self.admit_proof(&token, certificate, &proof),
                Presented::PerRequest => Err(ClientFault::ProofSpent.into()),
            },
        }
    }

    /// Looks for what was verified before. Whatever is amiss here is not found, and judged step by step.
    fn find_known(&mut self) -> Option<Admitted> {
        let ([authorization], [proof]) = (&self.request.authorization[..], &self.request.proof[..])
        else {
            return None;
        };
        self.refuse_token_elsewhere().ok()?;
        let claims = match self.config.confirmation {
            ConfirmationSource::Token => None,
            ConfirmationSource::Property(_) => Some(self.facts.claims().ok()??),
        };
        let presented = Presentation {
            rule: self.rule.proof_number,
            exporter: self.facts.exporter().ok()?,
            authorization,
            claims,
            proof,
        };
        self.find_local(&presented)
    }

    fn find_local(&mut self, presented: &Presentation<'_>) -> Option<Admitted> {
        let shown = self.facts.shown_certificate()?;
        let now = self.facts.now().ok()?;
        let (known, proof) = self.state.bindings.find(presented, shown, now)?;
        self.cache = CacheEvent::Hit;
        self.carry(Presented::ConnectionLevel(proof));
        Some(Admitted::known(&known))
    }

    /// Reads the Bearer token; `None` if there is none and none is needed.
    fn present(&self) -> Result<Option<(AccessToken<'a>, &'a [u8])>, Refusal> {
        self.refuse_token_elsewhere()?;
        let credentials = Credentials::parse(&self.request.authorization)?;
        let proof = proof::only(&self.request.proof)?;
        if let Credentials::Bearer {
            token,
            authorization,
        } = credentials
        {
            if token.as_str().len() > self.config.max_access_token_bytes {
                return Err(ClientFault::AccessTokenTooLong.into());
            }
            return Ok(Some((token, authorization)));
        }
        self.refuse_unseen_claims()?;
        match self.rule.without_token {
            WithoutToken::Refuse => Err(ClientFault::AccessTokenMissing.into()),
            WithoutToken::Pass if proof.is_some() => Err(ClientFault::ProofWithoutToken.into()),
            WithoutToken::Pass => self.refuse_unseen_token(&credentials),
        }
    }

    fn refuse_token_elsewhere(&self) -> Result<(), ClientFault> {
        if self.request.has_token_elsewhere {
            return Err(ClientFault::TokenElsewhere);
        }
        let places = &self.config.tokens_elsewhere;
        places.refuse_in_query(self.request.line.target.path)
    }

    /// Without a Bearer token, no other filter may have verified one.
    fn refuse_unseen_claims(&self) -> Result<(), Refusal> {
        let by_host = self.config.confirmation != ConfirmationSource::Token;
        if by_host && self.facts.claims() != Ok(None) {
            return Err(ClientFault::TokenElsewhere.into());
        }
        Ok(())
    }

    /// Without a Bearer token, no bound one may stand under another scheme, where another filter may take it.
    fn refuse_unseen_token<T>(&self, credentials: &Credentials<'_>) -> Result<Option<T>, Refusal> {
        let Credentials::Other { authorization } = credentials else {
            return Ok(None);
        };
        let is_unbound = |text| {
            let claims = AccessToken::parse(text).and_then(|token| token.claims());
            claims.is_ok_and(|claims| claims.confirmation == Confirmation::None)
        };
        let by_host = self.config.confirmation != ConfirmationSource::Token;
        if by_host || jwts_in(authorization).all(is_unbound) {
            Ok(None)
        } else {
            Err(ClientFault::TokenElsewhere.into())
        }
    }

    /// The presented token's claims: its own, or those that another filter verified for it.
    fn claims(&self, token: &AccessToken<'_>) -> Result<TokenClaims, Refusal> {
        if self.config.confirmation == ConfirmationSource::Token {
            return Ok(token.claims()?);
        }
        let verified = self.facts.claims()?;
        let verified = verified.ok_or(HostFault::ConfirmationSourceMissing)?;
        if token.is_jwt() && token.claims()? != *verified {
            return Err(ClientFault::ClaimsOfAnotherToken.into());
        }
        Ok(verified.clone())
    }

    /// Applies what the token is confirmed for: the certificate, and whether a proof is needed; `None` for a
    /// token that is not bound. Only the confirmation decides, never the presence of a proof.
    fn confirm(
        &self,
        claims: &TokenClaims,
    ) -> Result<Option<(CertificateThumbprint, bool)>, Refusal> {
        let (confirmed, needs_proof) = match (claims.confirmation, self.rule.mode) {
            (Confirmation::Session(confirmed), _) => (confirmed, true),
            (_, Mode::Enforce) => return Err(ClientFault::TokenNotBound.into()),
            (Confirmation::Certificate(confirmed), _) => (confirmed, false),
            (Confirmation::None, _) => return Ok(None),
        };
        if self.facts.now()? > claims.last_second() {
            return Err(ClientFault::AccessTokenExpired.into());
        }
        let line = &self.request.line;
        if line.target.path.is_empty() && !line.is_connect() {
            return Err(ClientFault::TargetUnreadable.into());
        }
        Ok(Some((confirmed, needs_proof)))
    }

    /// Checks the connection's certificate against the confirmation (V-a, V-c).
    fn authenticate(
        &mut self,
        confirmed: &CertificateThumbprint,
    ) -> Result<ClientCertificate, Refusal> {
        let shown = self.facts.shown_certificate();
        let shown = shown.ok_or(HostFault::CertificateMissing)?;
        let encoding = self.config.client_certificate.encoding;
        let certificate = self.state.certificates.read(shown, encoding)?;
        self.certificate = Some(*certificate.thumbprint());
        verify_certificate(confirmed, &certificate, self.facts.now()?)?;
        Ok(certificate)
    }

    /// What the request presented before the host redirected it.
    fn take_carried(&mut self) -> Result<Presented, ClientFault> {
        let carried = self.host.carried();
        let carried = carried.and_then(|number| self.state.carried.take(number));
        carried.ok_or(ClientFault::ProofMissing)
    }

    /// Keeps what was presented, in case the host redirects the request.
    fn carry(&mut self, presented: Presented) {
        self.host.carry(self.state.carried.keep(presented));
    }

    /// Verifies a proof, unless it is known (V-e to V-i).
    fn admit_proof(
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
fn shared_bindings(config: &Config, state: &State, host: &impl Host) -> Option<SharedBindings> {
    if !host.shares_bindings() {
        return None;
    }
    SharedBindings::new(config.cache, state.generation, host.connection_id().ok()?)
}

fn shared_key(shared: &SharedBindings) -> String {
    format!("tls_session_binding.bindings.{}", shared.slot())
}
