//! The decision about one request, in the order of the protocol (draft section 3.3.2 step 5): known, present,
//! confirm, authenticate, known elsewhere, verify, replay, remember.
//!
//! [`Host`] is the one seam to whoever runs this. A [`Decision`] says what happened; acting on it, counting
//! and logging are the caller's.

mod admitted;
mod facts;
mod host;
mod present;
mod prove;

pub use admitted::{Admitted, Verdict};
pub use host::Host;

use crate::certificate::ClientCertificate;
use crate::config::Config;
use crate::digest::CertificateThumbprint;
use crate::error::{ClientFault, HostFault, Refusal};
use crate::request::Request;
use crate::rule::Rule;
use crate::signature::SignatureVerifier;
use crate::state::{Presented, State};
use crate::verify::{Presentation, PresentedToken, verify_certificate};
use facts::Facts;
use prove::{shared_bindings, shared_key};

/// What was decided about a request.
#[must_use]
pub struct Decision<'c> {
    /// The rule that decided.
    pub rule: &'c Rule,
    /// Whether the request may go on, as what, or why not. With [`Mode::Observe`](crate::rule::Mode::Observe) a
    /// refused request goes on.
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

impl<H: Host, S: SignatureVerifier> Judgement<'_, H, S> {
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
            are_claims_by_host: self.facts.are_claims_by_host(),
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
        let claims = if self.facts.are_claims_by_host() {
            Some(self.facts.claims().ok()??)
        } else {
            None
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
}
