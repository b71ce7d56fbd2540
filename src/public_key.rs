//! The client certificate's public key: a `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7) reduced to
//! the kinds of key a proof may be signed with.

use der::Decode as _;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use rsa::traits::PublicKeyParts as _;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::limits::{MAX_RSA_BITS, MIN_RSA_BITS};

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// First byte of an uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// The only accepted RSA exponent: the one every mesh CA issues, and large enough for FIPS 186-5.
const RSA_EXPONENT: u32 = 65_537;

/// The key is of another kind, another size, or not encoded the one way DER allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsupported;

/// What kind of key, which decides the algorithms that fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// An ECDSA key on NIST P-256.
    P256,
    /// An ECDSA key on NIST P-384.
    P384,
    /// An Ed25519 key.
    Ed25519,
    /// An RSA key.
    Rsa,
}

/// A public key that passed every check there is to make before a signature is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    spki_der: Vec<u8>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Material {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
    Rsa(rsa::RsaPublicKey),
}

impl PublicKey {
    /// Imports a key from the DER of its `SubjectPublicKeyInfo`.
    ///
    /// Points must be uncompressed, on the curve and not at infinity; Ed25519 keys canonical and free
    /// of small-order components; RSA keys of [`MIN_RSA_BITS`] to [`MAX_RSA_BITS`] bits with an odd
    /// modulus and the exponent 65537.
    ///
    /// # Errors
    /// [`Unsupported`].
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Unsupported> {
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| Unsupported)?;
        let material = Material::import(&spki).ok_or(Unsupported)?;
        Ok(Self {
            spki_der: der.to_vec(),
            material,
        })
    }

    /// The kind of key.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        match self.material {
            Material::P256(_) => KeyKind::P256,
            Material::P384(_) => KeyKind::P384,
            Material::Ed25519(_) => KeyKind::Ed25519,
            Material::Rsa(_) => KeyKind::Rsa,
        }
    }

    /// The key as DER `SubjectPublicKeyInfo`, for a verifier outside this crate.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// Length in bytes of every signature by this key: `r || s` for ECDSA (RFC 7518 section 3.4), the
    /// modulus for RSA (RFC 8017 section 8.1.2).
    #[must_use]
    pub fn signature_bytes(&self) -> usize {
        match &self.material {
            Material::P256(_) | Material::Ed25519(_) => 64,
            Material::P384(_) => 96,
            Material::Rsa(key) => key.size(),
        }
    }

    pub(crate) const fn material(&self) -> &Material {
        &self.material
    }
}

impl Material {
    fn import(spki: &SubjectPublicKeyInfoRef<'_>) -> Option<Self> {
        let bits = spki.subject_public_key.as_bytes()?;
        match spki.algorithm.oid {
            EC_PUBLIC_KEY => import_ec(named_curve(spki.algorithm.parameters)?, bits),
            ED25519 if spki.algorithm.parameters.is_none() => import_ed25519(bits),
            RSA_ENCRYPTION if is_null(spki.algorithm.parameters) => {
                import_rsa(&spki.subject_public_key)
            }
            _ => None,
        }
    }
}

/// Explicit curve parameters and NULL are not an object identifier, and so refused.
fn named_curve(parameters: Option<AnyRef<'_>>) -> Option<ObjectIdentifier> {
    parameters?.decode_as().ok()
}

fn is_null(parameters: Option<AnyRef<'_>>) -> bool {
    parameters.is_some_and(AnyRef::is_null)
}

fn import_ec(curve: ObjectIdentifier, point: &[u8]) -> Option<Material> {
    if point.first() != Some(&UNCOMPRESSED) {
        return None;
    }
    match curve {
        SECP256R1 => p256::ecdsa::VerifyingKey::from_sec1_bytes(point)
            .ok()
            .map(Material::P256),
        SECP384R1 => p384::ecdsa::VerifyingKey::from_sec1_bytes(point)
            .ok()
            .map(Material::P384),
        _ => None,
    }
}

/// Refuses keys of small order, for which signatures of any message exist, and keys with a small-order
/// part or in a non-canonical encoding, which no key generation yields.
fn import_ed25519(bytes: &[u8]) -> Option<Material> {
    let bytes: &[u8; 32] = bytes.try_into().ok()?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).ok()?;
    let point = key.to_edwards();
    let clean = !key.is_weak() && point.is_torsion_free() && point.compress().as_bytes() == bytes;
    clean.then_some(Material::Ed25519(key))
}

fn import_rsa(bits: &BitStringRef<'_>) -> Option<Material> {
    let key = rsa::pkcs1::RsaPublicKey::from_der(bits.as_bytes()?).ok()?;
    let modulus = rsa::BigUint::from_bytes_be(key.modulus.as_bytes());
    let exponent = rsa::BigUint::from_bytes_be(key.public_exponent.as_bytes());
    let is_odd = key
        .modulus
        .as_bytes()
        .last()
        .is_some_and(|byte| byte & 1 == 1);
    let in_range = (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&modulus.bits());
    if !is_odd || !in_range || exponent != rsa::BigUint::from(RSA_EXPONENT) {
        return None;
    }
    rsa::RsaPublicKey::new(modulus, exponent)
        .ok()
        .map(Material::Rsa)
}
