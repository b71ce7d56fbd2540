//! What a refused client is told (draft section 3.5; RFC 6750 section 3): the one place where a
//! reason becomes a status code and words.
//!
//! The words are constants: nothing that a client sent, and no secret, can appear in them.

use crate::error::{ClientFault, HostFault, Refusal};
use crate::limits::MAX_CHALLENGE_TEXT_BYTES;

/// The realm of a challenge that would otherwise have no parameter.
const DEFAULT_REALM: &str = "session-binding";

/// How much a refused client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorDescription {
    /// Error code and which check failed, in words.
    Full,
    /// Error code alone.
    Code,
}

/// What this server adds to every challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeRules {
    /// How much a refused client is told.
    pub error_description: ErrorDescription,
    /// `realm` (RFC 9110 section 11.5).
    pub realm: Option<String>,
    /// `resource_metadata`: where the client learns how to get a token (RFC 9728 section 5.1).
    pub resource_metadata: Option<String>,
}

/// Whether `text` can stand in a challenge as it is, between quotes.
#[must_use]
pub fn is_quotable(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    (1..=MAX_CHALLENGE_TEXT_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

/// What a client can do about its refusal by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// Sign a proof anew and send the request again.
    Proof,
    /// Send it on a new connection, which shows the certificate that the client has by then.
    Connection,
    /// It takes another token, request or configuration: the same again is refused again.
    Nothing,
}

impl Mend {
    /// The challenge's parameter `mend`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::Connection => "connection",
            Self::Nothing => "none",
        }
    }

    /// What mends a refusal.
    #[must_use]
    pub const fn of(fault: ClientFault) -> Self {
        words(fault).1
    }

    /// What a challenge says: its `error`, and its `mend` if it has one. A verifier that does not know the
    /// parameter says `invalid_proof` for whatever ails a proof.
    #[must_use]
    pub fn told(error: Option<&str>, mend: Option<&str>) -> Self {
        match (mend, error) {
            (Some("proof"), _) | (None, Some("invalid_proof")) => Self::Proof,
            (Some("connection"), _) => Self::Connection,
            _ => Self::Nothing,
        }
    }
}

/// The answer to a refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// 400, 401 or 503.
    pub status: u32,
    /// `WWW-Authenticate`, with 401 only.
    pub www_authenticate: Option<String>,
    /// Body, as plain text.
    pub body: &'static str,
}

impl Challenge {
    /// The answer to `refusal`.
    #[must_use]
    pub fn new(refusal: Refusal, rules: &ChallengeRules) -> Self {
        match refusal {
            // Nobody knows what the request is for: no credentials mend that.
            Refusal::Client(fault @ ClientFault::TargetUnreadable) => Self {
                status: 400,
                www_authenticate: None,
                body: words(fault).2,
            },
            Refusal::Client(fault) => Self::unauthorized(fault, rules),
            Refusal::Host(fault) => Self::unavailable(fault),
        }
    }

    fn unauthorized(fault: ClientFault, rules: &ChallengeRules) -> Self {
        let (code, mend, description) = words(fault);
        let is_full = rules.error_description == ErrorDescription::Full;
        let is_coded = !matches!(code, Code::None);
        let metadata = rules.resource_metadata.as_deref();
        // RFC 6750 section 3 wants one parameter at least.
        let alone = !is_coded && metadata.is_none();
        let realm = rules.realm.as_deref().or(alone.then_some(DEFAULT_REALM));
        let parameters = [
            ("error", is_coded.then_some(code.name())),
            ("mend", is_coded.then_some(mend.name())),
            (
                "error_description",
                (is_coded && is_full).then_some(description),
            ),
            ("realm", realm),
            ("resource_metadata", metadata),
        ];
        let given = parameters
            .iter()
            .filter_map(|(name, value)| value.map(|value| format!("{name}=\"{value}\"")));
        let given: Vec<String> = given.collect();
        Self {
            status: 401,
            www_authenticate: Some(format!("Bearer {}", given.join(", "))),
            body: if is_full { description } else { code.name() },
        }
    }

    /// A client can do nothing about a host's fault, so it is not told which.
    const fn unavailable(_: HostFault) -> Self {
        Self {
            status: 503,
            www_authenticate: None,
            body: "session binding cannot be verified here",
        }
    }
}

/// Error codes of RFC 6750 section 3.1 and the draft's section 3.5.
#[derive(Clone, Copy)]
enum Code {
    /// RFC 6750 section 3: a request without credentials gets no error code.
    None,
    InvalidToken,
    InvalidProof,
    UseSessionBinding,
}

impl Code {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "unauthorized",
            Self::InvalidToken => "invalid_token",
            Self::InvalidProof => "invalid_proof",
            Self::UseSessionBinding => "use_session_binding",
        }
    }
}

#[rustfmt::skip]
const fn words(fault: ClientFault) -> (Code, Mend, &'static str) {
    use ClientFault as Fault;
    use Code::{InvalidProof, InvalidToken, UseSessionBinding};
    use Mend::{Connection, Nothing, Proof};
    match fault {
        Fault::AccessTokenMissing => (Code::None, Nothing, "an access token is required"),
        Fault::AuthorizationRepeated => (InvalidToken, Nothing, "more than one Authorization header"),
        Fault::AuthorizationMalformed => (InvalidToken, Nothing, "the Authorization header is malformed"),
        Fault::AccessTokenInQuery => (InvalidToken, Nothing, "an access token must not be in the query"),
        Fault::TokenElsewhere => (InvalidToken, Nothing, "the access token must be in the Authorization header alone"),
        Fault::ClaimsOfAnotherToken => (InvalidToken, Nothing, "another access token was validated than the one in the Authorization header"),
        Fault::AccessTokenTooLong => (InvalidToken, Nothing, "the access token is too long"),
        Fault::AccessTokenUnreadable => (InvalidToken, Nothing, "the access token cannot be read"),
        Fault::AccessTokenExpired => (InvalidToken, Nothing, "the access token has expired"),
        Fault::ConfirmationUnreadable => (InvalidToken, Nothing, "the confirmation claim is malformed"),
        Fault::ConfirmationIncomplete => (InvalidToken, Nothing, "the confirmation claim has tls_exp without x5t#S256"),
        Fault::ConfirmationUnsupported => (InvalidToken, Nothing, "the confirmation method is not supported"),
        Fault::ExporterLabelUnknown => (InvalidToken, Nothing, "the confirmation claim names an unknown exporter label"),
        Fault::TokenNotBound => (InvalidToken, Nothing, "a session-bound access token is required"),
        Fault::CertificateNotConfirmed => (InvalidToken, Connection, "the access token is bound to another client certificate"),
        Fault::CertificateNotPresented => (InvalidProof, Nothing, "the connection has no client certificate"),
        Fault::CertificateExpired => (InvalidProof, Connection, "the client certificate has expired"),
        Fault::CertificateKeyUnsupported => (InvalidProof, Nothing, "the client certificate's key is not supported"),
        Fault::TargetUnreadable => (Code::None, Nothing, "the request's target is malformed"),
        Fault::ProofMissing => (UseSessionBinding, Proof, "the access token needs a session-binding proof"),
        Fault::ProofWithoutToken => (InvalidProof, Nothing, "a proof without an access token"),
        Fault::ProofRepeated => (InvalidProof, Nothing, "more than one proof"),
        Fault::ProofTooLong => (InvalidProof, Nothing, "the proof is too long"),
        Fault::ProofMalformed => (InvalidProof, Proof, "the proof is malformed"),
        Fault::ProofTypeWrong => (InvalidProof, Proof, "the proof's typ is wrong"),
        Fault::ProofHeaderUnsupported => (InvalidProof, Proof, "the proof's header has an unsupported parameter"),
        Fault::ProofAlgorithmRefused => (InvalidProof, Nothing, "the proof's alg is not accepted for this certificate"),
        Fault::ProofCertificateMismatch => (InvalidProof, Proof, "the proof names another client certificate"),
        Fault::ProofConnectionMismatch => (InvalidProof, Proof, "the proof is for another connection"),
        Fault::ProofTokenMismatch => (InvalidProof, Proof, "the proof is for another access token"),
        Fault::ProofTooOld => (InvalidProof, Proof, "the proof is too old: sign a new one"),
        Fault::ProofNotYetValid => (InvalidProof, Proof, "the proof is not valid yet"),
        Fault::ProofClaimMissing => (InvalidProof, Proof, "the proof must be for this request: sign one with htm, htu and jti"),
        Fault::ProofExpired => (InvalidProof, Proof, "the proof has expired: sign a new one"),
        Fault::ProofMethodMismatch => (InvalidProof, Proof, "the proof is for another method"),
        Fault::ProofTargetMismatch => (InvalidProof, Proof, "the proof is for another target"),
        Fault::ProofSignatureInvalid => (InvalidProof, Proof, "the proof's signature is not valid"),
        Fault::ProofReplayed => (InvalidProof, Proof, "the proof was used before"),
        Fault::ProofSpent => (InvalidProof, Nothing, "the request was redirected, and its proof was for the first target alone"),
        Fault::ReplayMemoryFull => (InvalidProof, Connection, "too many proofs on this connection: try again later"),
    }
}
