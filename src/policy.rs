//! Which requests need what: the life of a request from its headers to a verified binding, in steps
//! that can only be taken in order.
//!
//! [`Rule::present`] reads the headers, [`Presented::confirm`] applies the token's confirmation,
//! [`BoundRequest::authenticate`] checks it against the connection's certificate, and
//! [`ProvedRequest::verify`] the proof. A step that finds nothing left to check ends with [`Admitted`].

use crate::access_token::{AccessToken, TokenClaims};
use crate::authorization::{Credentials, refuse_token_in_query};
use crate::cache::{KnownBinding, Presentation};
use crate::certificate::CertificateThumbprint;
use crate::confirmation::Confirmation;
use crate::error::ClientFault;
use crate::exporter::ExporterValue;
use crate::proof::{self, UntrustedProof};
use crate::rule::{Mode, Rule, WithoutToken};
use crate::signature::SignatureVerifier;
use crate::verify::{
    Connection, PresentedToken, RequestLine, VerifiedBinding, verify, verify_certificate,
};

/// Why a request may go on to the next filter.
#[must_use]
pub enum Admitted<'a> {
    /// It has no Bearer token, and needs none.
    WithoutToken,
    /// Its token is not bound, and need not be.
    Unbound,
    /// Its token is bound to the connection's client certificate alone (RFC 8705).
    CertificateBound(CertificateThumbprint),
    /// Its token is bound to the connection, by a proof verified now.
    SessionBound(VerifiedBinding<'a>),
    /// Its token is bound to the connection, by a proof verified before.
    Known(KnownBinding),
}

impl Admitted<'_> {
    /// The client certificate that the token is bound to, if it is.
    #[must_use]
    pub const fn thumbprint(&self) -> Option<&CertificateThumbprint> {
        match self {
            Self::WithoutToken | Self::Unbound => None,
            Self::CertificateBound(thumbprint) => Some(thumbprint),
            Self::SessionBound(binding) => Some(binding.certificate().thumbprint()),
            Self::Known(known) => Some(known.thumbprint()),
        }
    }

    /// What it comes to.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::WithoutToken => Verdict::WithoutToken,
            Self::Unbound => Verdict::Unbound,
            Self::CertificateBound(_) => Verdict::CertificateBound,
            Self::SessionBound(_) | Self::Known(_) => Verdict::SessionBound,
        }
    }
}

/// How an admitted request is bound, for metrics and access logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// See [`Admitted::WithoutToken`].
    WithoutToken,
    /// See [`Admitted::Unbound`].
    Unbound,
    /// See [`Admitted::CertificateBound`].
    CertificateBound,
    /// See [`Admitted::SessionBound`].
    SessionBound,
}

impl Verdict {
    /// Every verdict, in the order of their declaration.
    pub const ALL: [Self; 4] = [
        Self::WithoutToken,
        Self::Unbound,
        Self::CertificateBound,
        Self::SessionBound,
    ];

    /// Its name, in `snake_case`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WithoutToken => "without_token",
            Self::Unbound => "unbound",
            Self::CertificateBound => "certificate_bound",
            Self::SessionBound => "session_bound",
        }
    }
}

/// The headers of a request that binding is about, every value as the host gives it.
#[derive(Debug, Clone, Copy)]
pub struct RequestHeaders<'a> {
    /// All values of `Authorization`.
    pub authorization: &'a [&'a [u8]],
    /// All values of `Session-Binding-Proof`.
    pub proof: &'a [&'a [u8]],
    /// `:method`, `:authority` and `:path`.
    pub line: RequestLine<'a>,
}

/// What is known of a request after a step that needed no more than its own bytes.
pub enum Step<'a, T> {
    /// Nothing is left to check.
    Done(Admitted<'a>),
    /// The next step decides.
    Next(T),
}

/// A request that presents a Bearer token, and perhaps a proof.
pub struct Presented<'a> {
    /// The token.
    pub token: AccessToken<'a>,
    /// The proof's header value.
    pub proof: Option<&'a [u8]>,
    authorization: &'a [u8],
    line: RequestLine<'a>,
}

/// A request whose token must be bound to this connection's client certificate.
pub struct BoundRequest<'a> {
    confirmed: CertificateThumbprint,
    token: PresentedToken<'a>,
    proof: ProofRule<'a>,
    line: RequestLine<'a>,
}

/// A request whose certificate is the right one, with a proof that was read and not yet believed.
pub struct ProvedRequest<'a> {
    token: PresentedToken<'a>,
    proof: UntrustedProof<'a>,
    line: RequestLine<'a>,
}

/// Whether a proof is needed, and then what was sent.
#[derive(Clone, Copy)]
enum ProofRule<'a> {
    NotNeeded,
    Needed(Option<&'a [u8]>),
}

impl Rule {
    /// Reads what a request presents.
    ///
    /// # Errors
    /// The faults of [`Credentials::parse`] and [`proof::only`], a token in the query, a proof without
    /// a token, and [`ClientFault::AccessTokenMissing`] where [`WithoutToken::Refuse`] wants one.
    pub fn present<'a>(
        &self,
        headers: &RequestHeaders<'a>,
    ) -> Result<Step<'a, Presented<'a>>, ClientFault> {
        let line = headers.line;
        refuse_token_in_query(line.target.path)?;
        let credentials = Credentials::parse(headers.authorization)?;
        let proof = proof::only(headers.proof)?;
        match (credentials, self.without_token) {
            (
                Credentials::Bearer {
                    token,
                    authorization,
                },
                _,
            ) => Ok(Step::Next(Presented {
                token,
                proof,
                authorization,
                line,
            })),
            (_, WithoutToken::Refuse) => Err(ClientFault::AccessTokenMissing),
            _ if proof.is_some() => Err(ClientFault::ProofWithoutToken),
            _ => Ok(Step::Done(Admitted::WithoutToken)),
        }
    }
}

impl<'a> Presented<'a> {
    /// Applies what the token is confirmed for. `claims` are the presented token's own, or those that
    /// another filter verified for it.
    ///
    /// Only the confirmation decides whether a proof is needed, never the presence of one.
    ///
    /// # Errors
    /// [`ClientFault::AccessTokenExpired`], [`ClientFault::TokenNotBound`],
    /// [`ClientFault::TargetUnreadable`].
    pub fn confirm(
        self,
        claims: &TokenClaims,
        rule: &Rule,
        now: u64,
    ) -> Result<Step<'a, BoundRequest<'a>>, ClientFault> {
        let Self {
            token,
            proof,
            authorization,
            line,
        } = self;
        let expires = claims.expires;
        if expires.is_some_and(|expires| now > rule.proof.last_second_before(expires)) {
            return Err(ClientFault::AccessTokenExpired);
        }
        let (confirmed, proof) = match (claims.confirmation, rule.mode) {
            (Confirmation::Session(confirmed), _) => (confirmed, ProofRule::Needed(proof)),
            (_, Mode::Enforce) => return Err(ClientFault::TokenNotBound),
            (Confirmation::Certificate(confirmed), _) => (confirmed, ProofRule::NotNeeded),
            (Confirmation::None, _) => {
                return Ok(Step::Done(Admitted::Unbound));
            }
        };
        if line.target.path.is_empty() {
            return Err(ClientFault::TargetUnreadable);
        }
        let token = PresentedToken {
            token,
            authorization,
            expires,
        };
        Ok(Step::Next(BoundRequest {
            confirmed,
            token,
            proof,
            line,
        }))
    }
}

impl<'a> BoundRequest<'a> {
    /// Checks the connection's certificate against the confirmation, and reads the proof (V-a, V-c, V-d).
    ///
    /// # Errors
    /// The faults of [`verify_certificate`], [`ClientFault::ProofMissing`], and the faults of
    /// [`UntrustedProof::parse`].
    pub fn authenticate(
        self,
        connection: &Connection,
        now: u64,
    ) -> Result<Step<'a, ProvedRequest<'a>>, ClientFault> {
        // V-a, V-c
        verify_certificate(&self.confirmed, &connection.certificate, now)?;
        let ProofRule::Needed(proof) = self.proof else {
            return Ok(Step::Done(Admitted::CertificateBound(self.confirmed)));
        };
        // V-d
        let proof = UntrustedProof::parse(proof.ok_or(ClientFault::ProofMissing)?)?;
        Ok(Step::Next(ProvedRequest {
            token: self.token,
            proof,
            line: self.line,
        }))
    }
}

impl ProvedRequest<'_> {
    /// What to look for in the cache of a connection; nothing for a proof of one request only.
    #[must_use]
    pub fn presentation<'e>(
        &'e self,
        rule: &Rule,
        exporter: &'e ExporterValue,
    ) -> Option<Presentation<'e>> {
        self.proof.request.is_empty().then_some(Presentation {
            rule: rule.number,
            exporter,
            authorization: self.token.authorization,
            proof: self.proof.text,
        })
    }
}

impl<'a> ProvedRequest<'a> {
    /// Verifies the proof (V-e to V-i).
    ///
    /// # Errors
    /// The faults of [`verify`].
    pub fn verify(
        &self,
        connection: &'a Connection,
        rule: &Rule,
        now: u64,
        signatures: &impl SignatureVerifier,
    ) -> Result<VerifiedBinding<'a>, ClientFault> {
        let (token, line) = (&self.token, &self.line);
        verify(&self.proof, token, line, connection, rule, now, signatures)
    }
}
