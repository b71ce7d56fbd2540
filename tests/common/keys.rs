//! The fixed test keys, and every way of signing with them: right ones and wrong ones.

use hmac::Mac as _;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::pkcs8::DecodePrivateKey as _;
use rsa::rand_core::{CryptoRng, RngCore};
use rsa::{Pkcs1v15Sign, Pss};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::files;

pub(crate) enum Key {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
    Rsa(Box<rsa::RsaPrivateKey>),
}

impl Key {
    /// Reads `keys/<name>.pem`. The name begins with the kind of key, or it is a P-256 key.
    pub(crate) fn read(name: &str) -> Self {
        let der = files::read_pem(&format!("keys/{name}.pem"));
        match name.split('-').next() {
            Some("p384") => Self::P384(p384::ecdsa::SigningKey::from_pkcs8_der(&der).unwrap()),
            Some("ed25519") => {
                Self::Ed25519(ed25519_dalek::SigningKey::from_pkcs8_der(&der).unwrap())
            }
            Some("rsa") => Self::Rsa(Box::new(rsa::RsaPrivateKey::from_pkcs8_der(&der).unwrap())),
            _ => Self::P256(p256::ecdsa::SigningKey::from_pkcs8_der(&der).unwrap()),
        }
    }

    /// The algorithm it signs with unless a recipe names another.
    pub(crate) const fn default_algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Ed25519(_) => "EdDSA",
            Self::Rsa(_) => "RS256",
        }
    }

    /// Signs as `method` says: an `alg` value; `PS256/20` for another salt length; `EdDSA/identity` with the neutral element for `R`; `RS256/raw` for
    /// PKCS #1 padding without a `DigestInfo`. ECDSA takes its hash from the method and its curve from the
    /// key. What makes no sense yields bytes of the usual length all the same.
    pub(crate) fn sign(&self, method: &str, message: &[u8]) -> Vec<u8> {
        let (algorithm, variant) = method.split_once('/').unwrap_or((method, ""));
        let digest = digest(algorithm, message);
        match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
                signature.to_bytes().to_vec()
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
                signature.to_bytes().to_vec()
            }
            Self::Ed25519(key) if variant == "identity" => sign_with_identity(key, message),
            Self::Ed25519(key) => key.sign(message).to_vec(),
            Self::Rsa(key) if algorithm.starts_with("PS") => {
                let salt = variant.parse().unwrap_or(digest.len());
                key.sign_with_rng(&mut Counter(1), pss(digest.len(), salt), &digest)
                    .unwrap()
            }
            Self::Rsa(key) => key.sign(pkcs1(digest.len(), variant), &digest).unwrap(),
        }
    }
}

/// A signature that fulfils the equation of RFC 8032 section 5.1.7 with a nonce of zero, as no signer
/// makes it.
fn sign_with_identity(key: &ed25519_dalek::SigningKey, message: &[u8]) -> Vec<u8> {
    let identity = curve25519_dalek::EdwardsPoint::default().compress();
    let hash = Sha512::new()
        .chain_update(identity.as_bytes())
        .chain_update(key.verifying_key())
        .chain_update(message);
    let challenge = curve25519_dalek::Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    let s = challenge * key.to_scalar();
    [identity.to_bytes(), s.to_bytes()].concat()
}

/// HMAC-SHA256, for whoever takes a public key for a secret.
pub(crate) fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = hmac::Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn digest(algorithm: &str, message: &[u8]) -> Vec<u8> {
    if algorithm.ends_with("384") {
        Sha384::digest(message).to_vec()
    } else if algorithm.ends_with("512") {
        Sha512::digest(message).to_vec()
    } else {
        Sha256::digest(message).to_vec()
    }
}

fn pss(digest_bytes: usize, salt: usize) -> Pss {
    match digest_bytes {
        32 => Pss::new_with_salt::<Sha256>(salt),
        48 => Pss::new_with_salt::<Sha384>(salt),
        _ => Pss::new_with_salt::<Sha512>(salt),
    }
}

fn pkcs1(digest_bytes: usize, variant: &str) -> Pkcs1v15Sign {
    match digest_bytes {
        _ if variant == "raw" => Pkcs1v15Sign::new_unprefixed(),
        32 => Pkcs1v15Sign::new::<Sha256>(),
        48 => Pkcs1v15Sign::new::<Sha384>(),
        _ => Pkcs1v15Sign::new::<Sha512>(),
    }
}

/// Not random at all, so that the same recipe always yields the same bytes.
struct Counter(u64);

impl RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        u32::try_from(self.next_u64() >> 32).unwrap()
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        rsa::rand_core::impls::fill_bytes_via_next(self, bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Counter {}
