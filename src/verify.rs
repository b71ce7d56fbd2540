//! Verification of one presented token and proof against one connection: draft section 3.3.2 step 5,
//! rule by rule. Comparisons with the verifier's own values come first and the signature last, so that
//! garbage never buys a signature verification.

use crate::access_token::AccessToken;
use crate::certificate::ClientCertificate;
use crate::claims::TokenClaims;
use crate::digest::CertificateThumbprint;
use crate::error::ClientFault;
use crate::exporter::ExporterValue;
use crate::proof::{RequestClaims, UntrustedProof};
use crate::request::RequestLine;
use crate::rule::{ProofRules, Rule};
use crate::signature::SignatureVerifier;
use crate::target_uri;

/// A presented token, as far as a proof for it is concerned.
#[derive(Debug, Clone, Copy)]
pub struct PresentedToken<'a> {
    /// The token.
    pub token: AccessToken<'a>,
    /// The `Authorization` value it came in.
    pub authorization: &'a [u8],
    /// Its claims.
    pub claims: &'a TokenClaims,
    /// Whether the claims are another filter's: then the token's bytes do not stand for them.
    pub are_claims_by_host: bool,
}

impl<'a> PresentedToken<'a> {
    /// What to look for, presented with this proof.
    #[must_use]
    pub fn presentation(
        &self,
        rule: &Rule,
        exporter: &'a ExporterValue,
        proof: &'a [u8],
    ) -> Presentation<'a> {
        Presentation {
            rule: rule.proof_number,
            exporter,
            authorization: self.authorization,
            claims: self.are_claims_by_host.then_some(self.claims),
            proof,
        }
    }
}

/// What a request presents, as bytes: the key of a lookup.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Presentation<'a> {
    /// [`Rule::proof_number`]: what was verified under other rules for proofs is not known under these.
    pub rule: u16,
    /// The connection's exporter value.
    pub exporter: &'a ExporterValue,
    /// The whole `Authorization` value.
    pub authorization: &'a [u8],
    /// The token's claims, where another filter says them.
    pub claims: Option<&'a TokenClaims>,
    /// The whole `Session-Binding-Proof` value.
    pub proof: &'a [u8],
}

/// What the host says about the TLS connection that a request arrived on.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its exporter value.
    pub exporter: ExporterValue,
    /// The certificate its client authenticated with (V-a).
    pub certificate: ClientCertificate,
}

/// That a token was presented with a valid proof by the holder of its certificate on its connection.
/// Only [`verify`] makes one.
#[must_use]
pub struct VerifiedBinding<'a> {
    presentation: Presentation<'a>,
    certificate: &'a ClientCertificate,
    valid_until: u64,
    pub(crate) issued_at: u64,
    pub(crate) request: RequestClaims,
}

impl<'a> VerifiedBinding<'a> {
    /// The bytes that were verified.
    #[must_use]
    pub const fn presentation(&self) -> Presentation<'a> {
        self.presentation
    }

    /// The client certificate that the proof was verified with.
    #[must_use]
    pub const fn certificate(&self) -> &'a ClientCertificate {
        self.certificate
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
    let proofs_until = proof
        .expires
        .map_or(u64::MAX, |expires| rules.last_second_before(expires));
    Ok(VerifiedBinding {
        presentation: token.presentation(rule, &connection.exporter, proof.text),
        certificate: &connection.certificate,
        valid_until: (token.claims.last_second())
            .min(proofs_until)
            .min(connection.certificate.not_after()),
        issued_at: proof.issued_at,
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
