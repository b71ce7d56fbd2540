//! Why a handshake failed, as a counter names it.

use rustls::{CertificateError, Error};

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
