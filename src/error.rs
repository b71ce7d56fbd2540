//! Why a request is refused: one variant per rule, and whose fault it is.
//!
//! A variant names the rule and never carries bytes of a token, a proof, a certificate or an exporter
//! value. What goes on the wire is decided in [`crate::challenge`] alone.

/// Why a request is refused, split by blame: the client's fault is answered with 401, the host's with
/// 503 and another counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The client can mend it.
    Client(ClientFault),
    /// Only the operator can mend it.
    Host(HostFault),
}

impl Refusal {
    /// Name of the rule for metrics and access logs, in `snake_case`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Client(fault) => fault.reason(),
            Self::Host(fault) => fault.reason(),
        }
    }
}

impl From<ClientFault> for Refusal {
    fn from(fault: ClientFault) -> Self {
        Self::Client(fault)
    }
}

impl From<HostFault> for Refusal {
    fn from(fault: HostFault) -> Self {
        Self::Host(fault)
    }
}

/// Declares a fault enum, its `ALL` list and its reasons from one table, so that none can be left out.
macro_rules! faults {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $reason:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every variant, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Name of the rule for metrics and access logs, in `snake_case`.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$variant => $reason,)+ }
            }
        }
    };
}

faults! {
    /// What a client did wrong.
    ClientFault {
        /// More than one `Authorization` header.
        AuthorizationRepeated = "authorization_repeated",
        /// `Authorization` is neither a Bearer token (RFC 6750 section 2.1) nor cleanly another scheme.
        AuthorizationMalformed = "authorization_malformed",
        /// The query carries an `access_token` (RFC 6750 section 2.3, RFC 9700 section 4.3.2).
        AccessTokenInQuery = "access_token_in_query",
        /// A token stands where another filter takes it and this verifier does not, so that its binding was
        /// not seen.
        TokenElsewhere = "token_elsewhere",
        /// Another filter verified another token than the one in `Authorization`.
        ClaimsOfAnotherToken = "claims_of_another_token",
        /// A token is required and none was sent.
        AccessTokenMissing = "access_token_missing",
        /// The token is longer than [`crate::limits::MAX_ACCESS_TOKEN_BYTES`].
        AccessTokenTooLong = "access_token_too_long",
        /// The token's claims cannot be read, so that nobody knows whether it is bound.
        AccessTokenUnreadable = "access_token_unreadable",
        /// The token's `exp` has passed.
        AccessTokenExpired = "access_token_expired",
        /// `cnf` is present and malformed.
        ConfirmationUnreadable = "confirmation_unreadable",
        /// `cnf.tls_exp` without `cnf.x5t#S256`: bound to a connection, but of anybody.
        ConfirmationIncomplete = "confirmation_incomplete",
        /// `cnf` names a confirmation method that this verifier cannot check.
        ConfirmationUnsupported = "confirmation_unsupported",
        /// `cnf.tls_exp` names another exporter label than [`crate::exporter::LABEL`].
        ExporterLabelUnknown = "exporter_label_unknown",
        /// A session-bound token is required and this one is not.
        TokenNotBound = "token_not_bound",
        /// The client sent no certificate in the handshake (V-a).
        CertificateNotPresented = "certificate_not_presented",
        /// The client certificate has expired since the handshake.
        CertificateExpired = "certificate_expired",
        /// The client certificate's key is of a kind or size that no proof may be signed with.
        CertificateKeyUnsupported = "certificate_key_unsupported",
        /// `cnf.x5t#S256` is another certificate's (V-c).
        CertificateNotConfirmed = "certificate_not_confirmed",
        /// The request's target cannot be read, so that nobody knows which rule is for it.
        TargetUnreadable = "target_unreadable",
        /// A proof is needed and none was sent (V-d).
        ProofMissing = "proof_missing",
        /// A proof was sent without a Bearer token.
        ProofWithoutToken = "proof_without_token",
        /// More than one `Session-Binding-Proof` header.
        ProofRepeated = "proof_repeated",
        /// The proof is longer than [`crate::limits::MAX_PROOF_BYTES`].
        ProofTooLong = "proof_too_long",
        /// The proof is not a compact JWS with the header parameters and claims of the draft.
        ProofMalformed = "proof_malformed",
        /// The proof's `typ` is another.
        ProofTypeWrong = "proof_type_wrong",
        /// The proof's header has a parameter that changes how it would have to be read.
        ProofHeaderUnsupported = "proof_header_unsupported",
        /// The proof's `alg` is unknown, not allowed, or does not fit the certificate's key (V-e).
        ProofAlgorithmRefused = "proof_algorithm_refused",
        /// The proof's `x5t#S256` is another certificate's (V-e).
        ProofCertificateMismatch = "proof_certificate_mismatch",
        /// The proof's `ekm` is another connection's (V-f).
        ProofConnectionMismatch = "proof_connection_mismatch",
        /// The proof's `ath` is another token's (V-g).
        ProofTokenMismatch = "proof_token_mismatch",
        /// The proof's `iat` is older than the acceptance window (V-h).
        ProofTooOld = "proof_too_old",
        /// The proof's `iat` or `nbf` lies in the future (V-h).
        ProofNotYetValid = "proof_not_yet_valid",
        /// The proof lacks a claim of `htm`, `htu` and `jti` that is required here (V-i).
        ProofClaimMissing = "proof_claim_missing",
        /// The proof's own `exp` has passed.
        ProofExpired = "proof_expired",
        /// The proof's `htm` is another method (V-i).
        ProofMethodMismatch = "proof_method_mismatch",
        /// The proof's `htu` is another target (V-i).
        ProofTargetMismatch = "proof_target_mismatch",
        /// The proof's signature does not verify (V-e).
        ProofSignatureInvalid = "proof_signature_invalid",
        /// The proof's `jti` was seen before on this connection (V-i).
        ProofReplayed = "proof_replayed",
        /// The proof was for one request, and the host has redirected that request since (V-i).
        ProofSpent = "proof_spent",
        /// Too many live `jti` on this connection to remember another (V-i).
        ReplayMemoryFull = "replay_memory_full",
    }
}

faults! {
    /// What the host did not provide, or not legibly.
    HostFault {
        /// No exporter value at the configured property.
        ExporterMissing = "exporter_missing",
        /// The exporter property does not hold 32 bytes in the configured encoding.
        ExporterUnreadable = "exporter_unreadable",
        /// No client certificate at the configured property.
        CertificateMissing = "certificate_missing",
        /// The certificate property does not hold a certificate in the configured encoding.
        CertificateUnreadable = "certificate_unreadable",
        /// No verified claims at the configured property, although the request has a token.
        ConfirmationSourceMissing = "confirmation_source_missing",
        /// The memory of seen `jti` holds bytes that this filter did not write, or cannot be written.
        ReplayMemoryUnusable = "replay_memory_unusable",
        /// The host did not give the request's headers, the connection's id or the time.
        RequestUnreadable = "request_unreadable",
    }
}
