//! JWS signature algorithms (RFC 7518 section 3.1, RFC 8037) a proof may be signed with.

use serde::Deserialize;

use crate::public_key::KeyKind;

/// A signature algorithm by its JOSE name. Symmetric ones and `none` have no value here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA over P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519, by its name of RFC 9864 or that of RFC 8037; `EdDSA` with another curve does not exist here.
    #[serde(rename = "EdDSA", alias = "Ed25519")]
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes.
    #[serde(rename = "PS512")]
    Ps512,
}

impl Algorithm {
    /// Every algorithm, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// The `alg` value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    /// The algorithm of exactly this `alg` value: names are case-sensitive (RFC 7515 section 4.1.1).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The kind of key it is for: the other half of "`alg` fits the key" (V-e, RFC 8725 section 3.1).
    #[must_use]
    pub const fn key_kind(self) -> KeyKind {
        match self {
            Self::Es256 => KeyKind::P256,
            Self::Es384 => KeyKind::P384,
            Self::EdDsa => KeyKind::Ed25519,
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                KeyKind::Rsa
            }
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of allowed algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlgorithmSet(u16);

impl AlgorithmSet {
    /// The set of every algorithm.
    #[must_use]
    pub fn all() -> Self {
        Self::of(&Algorithm::ALL)
    }

    /// The set of these algorithms.
    #[must_use]
    pub fn of(algorithms: &[Algorithm]) -> Self {
        Self(
            algorithms
                .iter()
                .fold(0, |bits, algorithm| bits | algorithm.bit()),
        )
    }

    /// Whether `algorithm` is in the set.
    #[must_use]
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & algorithm.bit() != 0
    }
}
