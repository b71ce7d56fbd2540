//! What a refused client is told (PROTOCOL section 3.5; RFC 6750 section 3): the one place where a
//! reason becomes a status code and words.
//!
//! The words are constants: nothing that a client sent, and no secret, can appear in them.

use crate::error::{ClientFault, HostFault, Refusal};

/// How much a refused client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorDescription {
    /// Error code and which check failed, in words.
    Full,
    /// Error code alone.
    Code,
}

/// The answer to a refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// 401 or 503.
    pub status: u32,
    /// `WWW-Authenticate`, with 401 only.
    pub www_authenticate: Option<String>,
    /// Body, as plain text.
    pub body: &'static str,
}

impl Challenge {
    /// The answer to `refusal`.
    #[must_use]
    pub fn new(refusal: Refusal, detail: ErrorDescription) -> Self {
        match refusal {
            Refusal::Client(fault) => Self::unauthorized(fault, detail),
            Refusal::Host(fault) => Self::unavailable(fault),
        }
    }

    fn unauthorized(fault: ClientFault, detail: ErrorDescription) -> Self {
        let (code, description) = words(fault);
        let challenge = match (code, detail) {
            (Code::None, _) => "Bearer".to_owned(),
            (code, ErrorDescription::Code) => format!("Bearer error=\"{}\"", code.name()),
            (code, ErrorDescription::Full) => {
                format!(
                    "Bearer error=\"{}\", error_description=\"{description}\"",
                    code.name()
                )
            }
        };
        let body = match detail {
            ErrorDescription::Full => description,
            ErrorDescription::Code => code.name(),
        };
        Self {
            status: 401,
            www_authenticate: Some(challenge),
            body,
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
const fn words(fault: ClientFault) -> (Code, &'static str) {
    use ClientFault as Fault;
    use Code::{InvalidProof, InvalidToken, UseSessionBinding};
    match fault {
        Fault::AccessTokenMissing => (Code::None, "an access token is required"),
        Fault::AuthorizationRepeated => (InvalidToken, "more than one Authorization header"),
        Fault::AuthorizationMalformed => (InvalidToken, "the Authorization header is malformed"),
        Fault::AccessTokenInQuery => (InvalidToken, "an access token must not be in the query"),
        Fault::AccessTokenTooLong => (InvalidToken, "the access token is too long"),
        Fault::AccessTokenUnreadable => (InvalidToken, "the access token cannot be read"),
        Fault::AccessTokenExpired => (InvalidToken, "the access token has expired"),
        Fault::ConfirmationUnreadable => (InvalidToken, "the confirmation claim is malformed"),
        Fault::ConfirmationIncomplete => (InvalidToken, "the confirmation claim has tls_exp without x5t#S256"),
        Fault::ConfirmationUnsupported => (InvalidToken, "the confirmation method is not supported"),
        Fault::ExporterLabelUnknown => (InvalidToken, "the confirmation claim names an unknown exporter label"),
        Fault::TokenNotBound => (InvalidToken, "a session-bound access token is required"),
        Fault::CertificateNotConfirmed => (InvalidToken, "the access token is bound to another client certificate"),
        Fault::CertificateNotPresented => (InvalidProof, "the connection has no client certificate"),
        Fault::CertificateExpired => (InvalidProof, "the client certificate has expired"),
        Fault::CertificateKeyUnsupported => (InvalidProof, "the client certificate's key is not supported"),
        Fault::TargetUnreadable => (InvalidProof, "the request's path is missing or malformed"),
        Fault::ProofMissing => (UseSessionBinding, "the access token needs a session-binding proof"),
        Fault::ProofWithoutToken => (InvalidProof, "a proof without an access token"),
        Fault::ProofRepeated => (InvalidProof, "more than one proof"),
        Fault::ProofTooLong => (InvalidProof, "the proof is too long"),
        Fault::ProofMalformed => (InvalidProof, "the proof is malformed"),
        Fault::ProofTypeWrong => (InvalidProof, "the proof's typ is wrong"),
        Fault::ProofHeaderUnsupported => (InvalidProof, "the proof's header has an unsupported parameter"),
        Fault::ProofAlgorithmRefused => (InvalidProof, "the proof's alg is not accepted for this certificate"),
        Fault::ProofCertificateMismatch => (InvalidProof, "the proof names another client certificate"),
        Fault::ProofConnectionMismatch => (InvalidProof, "the proof is for another connection"),
        Fault::ProofTokenMismatch => (InvalidProof, "the proof is for another access token"),
        Fault::ProofTooOld => (InvalidProof, "the proof is too old: sign a new one"),
        Fault::ProofNotYetValid => (InvalidProof, "the proof is not valid yet"),
        Fault::ProofClaimMissing => (InvalidProof, "the proof must be for this request: sign one with htm, htu and jti"),
        Fault::ProofExpired => (InvalidProof, "the proof has expired: sign a new one"),
        Fault::ProofMethodMismatch => (InvalidProof, "the proof is for another method"),
        Fault::ProofTargetMismatch => (InvalidProof, "the proof is for another target"),
        Fault::ProofSignatureInvalid => (InvalidProof, "the proof's signature is not valid"),
        Fault::ProofReplayed => (InvalidProof, "the proof was used before"),
        Fault::ReplayMemoryFull => (InvalidProof, "too many proofs on this connection: try again later"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_fault_is_401_with_a_quotable_challenge() {
        for &fault in ClientFault::ALL {
            let challenge = Challenge::new(fault.into(), ErrorDescription::Full);
            assert_eq!(challenge.status, 401);
            let (_, description) = words(fault);
            assert!(
                !description.contains(['"', '\\']) && description.is_ascii(),
                "{description}"
            );
        }
    }

    #[test]
    fn a_host_fault_is_503_and_tells_the_client_nothing() {
        for &fault in HostFault::ALL {
            let challenge = Challenge::new(fault.into(), ErrorDescription::Full);
            assert_eq!((challenge.status, challenge.www_authenticate), (503, None));
        }
    }

    #[test]
    fn the_wire_form_is_that_of_rfc_6750() {
        let shown = |fault: ClientFault, detail| {
            Challenge::new(fault.into(), detail)
                .www_authenticate
                .unwrap_or_default()
        };
        assert_eq!(
            shown(ClientFault::AccessTokenMissing, ErrorDescription::Full),
            "Bearer"
        );
        assert_eq!(
            shown(ClientFault::ProofMissing, ErrorDescription::Full),
            "Bearer error=\"use_session_binding\", \
             error_description=\"the access token needs a session-binding proof\""
        );
        assert_eq!(
            shown(ClientFault::CertificateNotConfirmed, ErrorDescription::Code),
            "Bearer error=\"invalid_token\""
        );
    }
}
