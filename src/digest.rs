//! The two SHA-256 hashes of the protocol: of an access token (`ath`) and of a certificate (`x5t#S256`).

use std::fmt;
use std::hash::{Hash, Hasher};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::base64url;

/// SHA-256 of an access token: the value of `ath`. Equality is constant-time.
#[derive(Clone, Copy)]
pub struct AccessTokenHash([u8; 32]);

impl AccessTokenHash {
    /// Hashes a token's ASCII text.
    #[must_use]
    pub(crate) fn of_token(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads the 43 characters of an `ath` claim.
    ///
    /// # Errors
    /// [`base64url::Malformed`] for anything but 32 bytes of base64url.
    pub fn parse(text: &str) -> Result<Self, base64url::Malformed> {
        base64url::decode_array(text.as_bytes()).map(Self)
    }

    /// The hash as `ath` carries it.
    #[must_use]
    pub fn to_base64url(&self) -> String {
        base64url::encode(&self.0)
    }
}

impl PartialEq for AccessTokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for AccessTokenHash {}

impl Hash for AccessTokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for AccessTokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessTokenHash(redacted)")
    }
}

/// SHA-256 of a certificate's DER: `x5t#S256` (RFC 7515 section 4.1.8). Equality is constant-time.
#[derive(Clone, Copy)]
pub struct CertificateThumbprint([u8; 32]);

impl CertificateThumbprint {
    /// Hashes a certificate's DER.
    #[must_use]
    pub fn of_der(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// Reads the 43 characters of an `x5t#S256` value.
    ///
    /// # Errors
    /// [`base64url::Malformed`] for anything but 32 bytes of base64url.
    pub fn parse(text: &[u8]) -> Result<Self, base64url::Malformed> {
        base64url::decode_array(text).map(Self)
    }

    /// The thumbprint as `x5t#S256` carries it.
    #[must_use]
    pub fn to_base64url(&self) -> String {
        base64url::encode(&self.0)
    }

    /// The raw bytes, for hashing into a key.
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for CertificateThumbprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for CertificateThumbprint {}

impl fmt::Debug for CertificateThumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CertificateThumbprint({})", self.to_base64url())
    }
}
