//! Why a request may go on. Only a decision makes one.

use crate::cache::KnownBinding;
use crate::digest::CertificateThumbprint;
use crate::verify::VerifiedBinding;

/// That a request may go on to the next filter, and how it is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Admitted {
    verdict: Verdict,
    thumbprint: Option<CertificateThumbprint>,
}

impl Admitted {
    pub(super) const fn without_token() -> Self {
        Self {
            verdict: Verdict::WithoutToken,
            thumbprint: None,
        }
    }

    pub(super) const fn unbound() -> Self {
        Self {
            verdict: Verdict::Unbound,
            thumbprint: None,
        }
    }

    pub(super) const fn certificate_bound(thumbprint: CertificateThumbprint) -> Self {
        Self {
            verdict: Verdict::CertificateBound,
            thumbprint: Some(thumbprint),
        }
    }

    pub(super) fn session_bound(binding: &VerifiedBinding<'_>) -> Self {
        Self {
            verdict: Verdict::SessionBound,
            thumbprint: Some(*binding.certificate().thumbprint()),
        }
    }

    pub(super) const fn known(binding: &KnownBinding) -> Self {
        Self {
            verdict: Verdict::SessionBound,
            thumbprint: Some(*binding.thumbprint()),
        }
    }

    /// How the request is bound.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What the verified header says of a bound token: an item of RFC 9651 with a parameter.
    #[must_use]
    pub fn header_value(&self) -> Option<String> {
        let thumbprint = self.thumbprint?.to_base64url();
        Some(format!("{};x5t=\"{thumbprint}\"", self.verdict.name()))
    }

    /// The client certificate that the token is bound to, if it is.
    #[must_use]
    pub const fn thumbprint(&self) -> Option<&CertificateThumbprint> {
        self.thumbprint.as_ref()
    }
}

/// How an admitted request is bound, for metrics and access logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has no Bearer token, and needs none.
    WithoutToken,
    /// Its token is not bound, and need not be.
    Unbound,
    /// Its token is bound to the connection's client certificate alone (RFC 8705).
    CertificateBound,
    /// Its token is bound to the connection, by a proof verified for this request or before it.
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
