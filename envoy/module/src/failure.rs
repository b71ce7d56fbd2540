//! Why a handshake failed, as a counter names it.

use rustls::{CertificateError, Error, OtherError};

use crate::config::Direction;
use crate::verifier::NotOfADomain;

/// Reason of a failed handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The other end showed no certificate.
    NoCertificate,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is not valid yet.
    NotYetValid,
    /// No configured authority issued its certificate.
    UnknownIssuer,
    /// Its certificate is revoked, or a current revocation list is missing.
    Revoked,
    /// Its certificate has another name than the configured one.
    Name,
    /// It is not on the allow-list.
    NotAllowed,
    /// Its certificate is unacceptable in another way.
    Certificate,
    /// It refused this end, with an alert.
    Alert,
    /// It broke the protocol, or both ends have nothing in common.
    Protocol,
    /// It went away, or took too long.
    Closed,
    /// This end has no certificate, key or authorities yet.
    FilesAwaited,
}

impl Failure {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 12] = [
        Self::NoCertificate,
        Self::Expired,
        Self::NotYetValid,
        Self::UnknownIssuer,
        Self::Revoked,
        Self::Name,
        Self::NotAllowed,
        Self::Certificate,
        Self::Alert,
        Self::Protocol,
        Self::Closed,
        Self::FilesAwaited,
    ];

    /// Last part of the counter's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::Expired => "certificate_expired",
            Self::NotYetValid => "certificate_not_yet_valid",
            Self::UnknownIssuer => "unknown_issuer",
            Self::Revoked => "certificate_revoked",
            Self::Name => "wrong_name",
            Self::NotAllowed => "not_allowed",
            Self::Certificate => "bad_certificate",
            Self::Alert => "refused_by_peer",
            Self::Protocol => "protocol",
            Self::Closed => "closed",
            Self::FilesAwaited => "files_awaited",
        }
    }

    /// The reason behind an error of rustls.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::AlertReceived(_) => Self::Alert,
            Error::InvalidCertificate(error) => Self::of_certificate(error),
            Error::InvalidCertRevocationList(_) => Self::Revoked,
            _ => Self::Protocol,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::Revoked
            | CertificateError::UnknownRevocationStatus
            | CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. } => Self::Revoked,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::Name
            }
            CertificateError::ApplicationVerificationFailure => Self::NotAllowed,
            CertificateError::Other(error) if error.0.is::<NotOfADomain>() => Self::NotAllowed,
            _ => Self::Certificate,
        }
    }
}

/// What failed, for logs and access logs: in an operator's words, then in those of rustls. There is nothing
/// secret in either.
#[must_use]
pub fn words(error: &Error, direction: Direction) -> String {
    let (peer, purpose) = match direction {
        Direction::Downstream => ("client", "clientAuth"),
        Direction::Upstream => ("server", "serverAuth"),
    };
    let what = match error {
        Error::InvalidCertificate(error) => of_certificate(error, purpose),
        Error::InvalidCertRevocationList(_) => {
            "or an issuer's has a revocation list that its issuer did not sign, or may not"
                .to_owned()
        }
        other => return other.to_string(),
    };
    format!("the {peer}'s certificate {what} ({error})")
}

fn of_certificate(error: &CertificateError, purpose: &str) -> String {
    let words = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired, or that of one of its issuers"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet, or that of one of its issuers"
        }
        CertificateError::UnknownIssuer => "is issued by none of the configured authorities",
        CertificateError::BadSignature => {
            "is not signed by the authority that it names, nor is one of its issuers'"
        }
        CertificateError::Revoked => "is revoked, or that of one of its issuers",
        CertificateError::UnknownRevocationStatus => {
            "or one of its issuers' has no list in `peer.crls`, where every issuer needs one"
        }
        CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => {
            "or one of its issuers' has a revocation list in `peer.crls` that has ended"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "has not the name in `peer.server_name`"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            return format!("has an extended key usage without {purpose}, or an authority's has");
        }
        CertificateError::ApplicationVerificationFailure => {
            "is not on the allow-list, `peer.allow`"
        }
        CertificateError::BadEncoding => "cannot be read",
        CertificateError::Other(error) => return of_other(error),
        _ => "is not acceptable",
    };
    words.to_owned()
}

/// What rustls passes on of its own library has no type here, but a name.
fn of_other(error: &OtherError) -> String {
    if let Some(refusal) = error.0.downcast_ref::<NotOfADomain>() {
        return refusal.to_string();
    }
    let words = match error.0.to_string().as_str() {
        "NameConstraintViolation" => {
            "has a name outside of its authority's name constraints, or of a kind (URI, directory name, e-mail) \
             whose constraints are not supported: every such name is then outside"
        }
        "CaUsedAsEndEntity" => "is an authority's",
        "EndEntityUsedAsCa" => "is issued by a certificate that is no authority's",
        "PathLenConstraintViolated" => "has more issuers in between than an authority allows",
        "MaximumPathDepthExceeded"
        | "MaximumPathBuildCallsExceeded"
        | "MaximumSignatureChecksExceeded" => "has a chain that is too long to be verified",
        "UnsupportedCriticalExtension" => {
            "or one of its issuers' has a critical extension that is not supported"
        }
        _ => "is not acceptable",
    };
    words.to_owned()
}

#[cfg(test)]
mod tests;
