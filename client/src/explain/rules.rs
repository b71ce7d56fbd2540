//! The rules in the order in which they are applied, each with its words, and the rule that a refusal is about.

use tls_session_binding::error::{ClientFault, HostFault, Refusal};

/// One rule of the protocol, or of the specifications that it stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    Target,
    Place,
    Authorization,
    OneProof,
    TokenThere,
    Claims,
    Confirmation,
    Expiry,
    CertificateShown,
    Confirmed,
    CertificateValid,
    ProofThere,
    Exporter,
    Form,
    Algorithm,
    ProofCertificate,
    Connection,
    Token,
    Time,
    Request,
    Signature,
    Replay,
}

impl Rule {
    /// In the order in which they are applied.
    pub(super) const ALL: [Self; 22] = [
        Self::Target,
        Self::Place,
        Self::Authorization,
        Self::OneProof,
        Self::TokenThere,
        Self::Claims,
        Self::Confirmation,
        Self::Expiry,
        Self::CertificateShown,
        Self::Confirmed,
        Self::CertificateValid,
        Self::ProofThere,
        Self::Exporter,
        Self::Form,
        Self::Algorithm,
        Self::ProofCertificate,
        Self::Connection,
        Self::Token,
        Self::Time,
        Self::Request,
        Self::Signature,
        Self::Replay,
    ];

    /// Its id in `docs/protocol.md`, or the specification that it is from; and what it says.
    #[rustfmt::skip]
    pub(super) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Target => ("policy", "the request's target can be read, so that it is known which rule of the policy is for it"),
            Self::Place => ("RFC 9700", "no token stands elsewhere than in Authorization"),
            Self::Authorization => ("RFC 6750", "Authorization stands there once at most, and well-formed"),
            Self::OneProof => ("draft 2.3", "one proof at most is sent"),
            Self::TokenThere => ("policy", "an access token is sent, where one is required or a proof is sent"),
            Self::Claims => ("V-b", "the token's claims can be read (that the token itself is valid, another filter says)"),
            Self::Confirmation => ("draft 2.4", "the token's cnf says in a known way what the token is bound to"),
            Self::Expiry => ("V-b", "a bound token has not expired"),
            Self::CertificateShown => ("V-a", "the connection has a client certificate"),
            Self::Confirmed => ("V-c", "cnf.x5t#S256 is the thumbprint of this connection's client certificate"),
            Self::CertificateValid => ("V-a", "the client certificate has not expired since the handshake"),
            Self::ProofThere => ("V-d", "a proof is sent, because the token has cnf.tls_exp"),
            Self::Exporter => ("EKM-1", "the connection's exporter value is known: 32 bytes"),
            Self::Form => ("draft 2.3", "the proof is a compact JWS of typ tls-binding-proof+jwt with all that it must have"),
            Self::Algorithm => ("V-e", "alg is allowed and fits the certificate's key, and the signature is as long as that key's are"),
            Self::ProofCertificate => ("V-e", "the proof's x5t#S256 is this connection's certificate"),
            Self::Connection => ("V-f", "the proof's ekm is this connection's exporter value"),
            Self::Token => ("V-g", "the proof's ath is the hash of this token"),
            Self::Time => ("V-h", "the proof is neither too old nor from the future"),
            Self::Request => ("V-i", "htm and htu are this request's, and the claims that the policy requires are there"),
            Self::Signature => ("V-e", "the signature is by the key of this connection's certificate"),
            Self::Replay => ("V-i", "the proof's jti was not seen before"),
        }
    }

    /// The rule that a refusal is about.
    pub(super) const fn of(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Client(fault) => Self::of_client(fault),
            Refusal::Host(fault) => Self::of_host(fault),
        }
    }

    const fn of_client(fault: ClientFault) -> Self {
        use ClientFault as Fault;
        match fault {
            Fault::TargetUnreadable => Self::Target,
            Fault::AccessTokenInQuery | Fault::TokenElsewhere => Self::Place,
            Fault::AuthorizationRepeated
            | Fault::AuthorizationMalformed
            | Fault::AccessTokenTooLong => Self::Authorization,
            Fault::ProofRepeated => Self::OneProof,
            Fault::AccessTokenMissing | Fault::ProofWithoutToken => Self::TokenThere,
            Fault::AccessTokenUnreadable | Fault::ClaimsOfAnotherToken => Self::Claims,
            Fault::ConfirmationUnreadable
            | Fault::ConfirmationIncomplete
            | Fault::ConfirmationUnsupported
            | Fault::ExporterLabelUnknown
            | Fault::TokenNotBound => Self::Confirmation,
            Fault::AccessTokenExpired => Self::Expiry,
            Fault::CertificateNotPresented => Self::CertificateShown,
            Fault::CertificateNotConfirmed => Self::Confirmed,
            Fault::CertificateExpired => Self::CertificateValid,
            Fault::ProofMissing | Fault::ProofSpent => Self::ProofThere,
            Fault::ProofTooLong
            | Fault::ProofMalformed
            | Fault::ProofTypeWrong
            | Fault::ProofHeaderUnsupported => Self::Form,
            Fault::CertificateKeyUnsupported | Fault::ProofAlgorithmRefused => Self::Algorithm,
            Fault::ProofCertificateMismatch => Self::ProofCertificate,
            Fault::ProofConnectionMismatch => Self::Connection,
            Fault::ProofTokenMismatch => Self::Token,
            Fault::ProofTooOld | Fault::ProofNotYetValid | Fault::ProofExpired => Self::Time,
            Fault::ProofClaimMissing | Fault::ProofMethodMismatch | Fault::ProofTargetMismatch => {
                Self::Request
            }
            Fault::ProofSignatureInvalid => Self::Signature,
            Fault::ProofReplayed | Fault::ReplayMemoryFull => Self::Replay,
        }
    }

    const fn of_host(fault: HostFault) -> Self {
        match fault {
            HostFault::ExporterMissing | HostFault::ExporterUnreadable => Self::Exporter,
            HostFault::CertificateMissing | HostFault::CertificateUnreadable => {
                Self::CertificateShown
            }
            HostFault::ConfirmationSourceMissing => Self::Claims,
            HostFault::ReplayMemoryUnusable => Self::Replay,
            HostFault::RequestUnreadable => Self::Target,
        }
    }
}
