//! Verification of one presented token and proof against one connection: PROTOCOL section 3.3.2 step 5,
//! rule by rule. Comparisons with the verifier's own values come first and the signature last, so that
//! garbage never buys a signature verification.

use crate::access_token::AccessToken;
use crate::algorithm::AlgorithmSet;
use crate::cache::Presentation;
use crate::certificate::{CertificateThumbprint, ClientCertificate};
use crate::error::ClientFault;
use crate::exporter::ExporterValue;
use crate::proof::{RequestClaims, UntrustedProof};
use crate::rule::Rule;
use crate::signature::SignatureVerifier;
use crate::target_uri::{self, RequestTarget};

/// A presented token, as far as a proof for it is concerned.
#[derive(Debug, Clone, Copy)]
pub struct PresentedToken<'a> {
    /// The token.
    pub token: AccessToken<'a>,
    /// The `Authorization` value it came in.
    pub authorization: &'a [u8],
    /// Its `exp`, in seconds since 1970.
    pub expires: Option<u64>,
}

/// What the host says about the TLS connection that a request arrived on.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its exporter value.
    pub exporter: ExporterValue,
    /// The certificate its client authenticated with (V-a).
    pub certificate: ClientCertificate,
}

/// What one request says about itself, as the proxy routes it.
#[derive(Debug, Clone, Copy)]
pub struct RequestLine<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:authority` and `:path`.
    pub target: RequestTarget<'a>,
}

/// The operator's part of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofRules {
    /// Algorithms a proof may be signed with.
    pub algorithms: AlgorithmSet,
    /// How old a proof may be, in seconds.
    pub max_proof_age: u64,
    /// How far the client's clock may be off, in seconds.
    pub clock_tolerance: u64,
    /// Claims a proof must have.
    pub required_claims: RequiredClaims,
}

/// Which of the claims that tie a proof to one request it must have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequiredClaims {
    /// `htm`.
    pub method: bool,
    /// `htu`.
    pub target_uri: bool,
    /// `jti`.
    pub jti: bool,
}

impl RequiredClaims {
    const fn are_in(self, claims: &RequestClaims) -> bool {
        (!self.method || claims.method.is_some())
            && (!self.target_uri || claims.target_uri.is_some())
            && (!self.jti || claims.jti.is_some())
    }
}

impl ProofRules {
    /// The last second at which a proof issued at `issued_at` is accepted.
    const fn last_second(&self, issued_at: u64) -> u64 {
        issued_at
            .saturating_add(self.max_proof_age)
            .saturating_add(self.clock_tolerance)
    }

    /// The last second at which a token or proof that expires at `expires` is accepted.
    pub(crate) const fn last_second_before(&self, expires: u64) -> u64 {
        expires
            .saturating_add(self.clock_tolerance)
            .saturating_sub(1)
    }
}

/// That a token was presented with a valid proof by the holder of its certificate on its connection.
/// Only [`verify`] makes one.
#[must_use]
pub struct VerifiedBinding<'a> {
    rule: u16,
    connection: &'a Connection,
    authorization: &'a [u8],
    proof: &'a [u8],
    valid_until: u64,
    acceptable_until: u64,
    request: RequestClaims,
}

impl VerifiedBinding<'_> {
    /// The bytes that were verified.
    #[must_use]
    pub const fn presentation(&self) -> Presentation<'_> {
        Presentation {
            rule: self.rule,
            exporter: &self.connection.exporter,
            authorization: self.authorization,
            proof: self.proof,
        }
    }

    /// The client certificate that the proof was verified with.
    #[must_use]
    pub const fn certificate(&self) -> &ClientCertificate {
        &self.connection.certificate
    }

    /// The last second, since 1970, at which the token, the certificate and the proof are valid; the
    /// latter by its own `exp`, if it has one.
    #[must_use]
    pub const fn valid_until(&self) -> u64 {
        self.valid_until
    }

    /// Whether the proof is for the connection rather than for one request: only then may it stand for
    /// later requests.
    #[must_use]
    pub const fn is_connection_level(&self) -> bool {
        self.request.is_empty()
    }

    /// The proof's `jti`, which must not have been seen before. Whoever holds the binding asks
    /// [`crate::replay`]; verification has not.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        self.request.jti.as_deref()
    }

    /// The last second, since 1970, at which the same proof would still be accepted.
    #[must_use]
    pub const fn acceptable_until(&self) -> u64 {
        self.acceptable_until
    }
}

/// Verifies that a token confirmed for `confirmed` is presented on a connection of that certificate's
/// holder (V-a, V-c).
///
/// # Errors
/// [`ClientFault::CertificateNotConfirmed`], [`ClientFault::CertificateExpired`].
pub fn verify_certificate(
    confirmed: &CertificateThumbprint,
    certificate: &ClientCertificate,
    now: u64,
) -> Result<(), ClientFault> {
    // V-c
    if confirmed != certificate.thumbprint() {
        return Err(ClientFault::CertificateNotConfirmed);
    }
    // V-a: the handshake proved it when the connection began.
    if now > certificate.not_after() {
        return Err(ClientFault::CertificateExpired);
    }
    Ok(())
}

/// Verifies a proof for `token` on `connection` (V-e to V-i). `now` is in seconds since 1970.
///
/// Not checked here: the token itself (V-b), its confirmation ([`verify_certificate`]), and whether the
/// proof's `jti` was seen before ([`VerifiedBinding::jti`]).
///
/// # Errors
/// The [`ClientFault`] of the first rule that does not hold.
pub fn verify<'a>(
    proof: &UntrustedProof<'a>,
    token: &PresentedToken<'a>,
    request: &RequestLine<'_>,
    connection: &'a Connection,
    rule: &Rule,
    now: u64,
    signatures: &impl SignatureVerifier,
) -> Result<VerifiedBinding<'a>, ClientFault> {
    let rules = &rule.proof;
    let key = connection.certificate.key()?;
    // V-e: `alg` is allowed and fits the key of this connection's certificate.
    if !rules.algorithms.contains(proof.algorithm) || proof.algorithm.key_kind() != key.kind() {
        return Err(ClientFault::ProofAlgorithmRefused);
    }
    if proof.signature.len() != key.signature_bytes() {
        return Err(ClientFault::ProofSignatureInvalid);
    }
    // V-e: the header's `x5t#S256` is this connection's certificate.
    if proof.certificate != *connection.certificate.thumbprint() {
        return Err(ClientFault::ProofCertificateMismatch);
    }
    // V-f
    if proof.exporter != connection.exporter {
        return Err(ClientFault::ProofConnectionMismatch);
    }
    // V-g
    if proof.access_token_hash != token.token.hash() {
        return Err(ClientFault::ProofTokenMismatch);
    }
    // V-h
    verify_time(proof, rules, now)?;
    // V-i, but for whether `jti` is new.
    if !rules.required_claims.are_in(&proof.request) {
        return Err(ClientFault::ProofClaimMissing);
    }
    verify_request(&proof.request, request)?;
    // V-e: the signature.
    if !signatures.verify(proof.algorithm, key, proof.signing_input, &proof.signature) {
        return Err(ClientFault::ProofSignatureInvalid);
    }
    let until = |expires: Option<u64>| {
        expires.map_or(u64::MAX, |expires| rules.last_second_before(expires))
    };
    let tokens_until = until(token.expires).min(until(proof.expires));
    Ok(VerifiedBinding {
        rule: rule.number,
        connection,
        authorization: token.authorization,
        proof: proof.text,
        valid_until: tokens_until.min(connection.certificate.not_after()),
        acceptable_until: rules.last_second(proof.issued_at),
        request: proof.request.clone(),
    })
}

fn verify_time(
    proof: &UntrustedProof<'_>,
    rules: &ProofRules,
    now: u64,
) -> Result<(), ClientFault> {
    let soon = now.saturating_add(rules.clock_tolerance);
    if proof.issued_at > soon || proof.not_before.is_some_and(|not_before| not_before > soon) {
        return Err(ClientFault::ProofNotYetValid);
    }
    if now > rules.last_second(proof.issued_at) {
        return Err(ClientFault::ProofTooOld);
    }
    if proof
        .expires
        .is_some_and(|expires| now > rules.last_second_before(expires))
    {
        return Err(ClientFault::ProofExpired);
    }
    Ok(())
}

fn verify_request(claims: &RequestClaims, request: &RequestLine<'_>) -> Result<(), ClientFault> {
    if claims
        .method
        .as_ref()
        .is_some_and(|method| method.as_bytes() != request.method)
    {
        return Err(ClientFault::ProofMethodMismatch);
    }
    let matches = |htu: &String| target_uri::matches(htu, request.target);
    if !claims.target_uri.as_ref().is_none_or(matches) {
        return Err(ClientFault::ProofTargetMismatch);
    }
    Ok(())
}
