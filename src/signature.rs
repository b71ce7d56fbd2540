//! Verification of one JWS signature. The trait is the seam between the proof's rules and whoever does
//! the arithmetic: [`RustCrypto`] here, the host's library in the filter.

use jwt_compact::AlgorithmSignature as _;
use jwt_compact::alg::{Es256, Rsa};
use p384::ecdsa::signature::Verifier as _;
use rsa::traits::PublicKeyParts as _;

use crate::algorithm::Algorithm;
use crate::public_key::{Material, PublicKey};

/// Verifies signatures.
pub trait SignatureVerifier {
    /// Whether `signature`, in JOSE form (ECDSA: `r || s`), is `key`'s over `message` under `algorithm`.
    ///
    /// Callers have checked that `algorithm` fits `key` and that `signature` has
    /// [`PublicKey::signature_bytes`]; implementations answer `false` where it does not.
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool;
}

/// Verifies every algorithm in pure Rust.
#[derive(Debug, Clone, Copy, Default)]
pub struct RustCrypto;

impl SignatureVerifier for RustCrypto {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        if signature.len() != key.signature_bytes() {
            return false;
        }
        match (algorithm, key.material()) {
            (Algorithm::Es256, Material::P256(key)) => verify_jose(&Es256, key, message, signature),
            (Algorithm::Es384, Material::P384(key)) => {
                p384::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
            (Algorithm::EdDsa, Material::Ed25519(key)) => {
                ed25519_dalek::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
            }
            (_, Material::Rsa(key)) => rsa_algorithm(algorithm).is_some_and(|algorithm| {
                is_below_modulus(signature, key) && verify_jose(&algorithm, key, message, signature)
            }),
            _ => false,
        }
    }
}

fn verify_jose<A: jwt_compact::Algorithm>(
    algorithm: &A,
    key: &A::VerifyingKey,
    message: &[u8],
    signature: &[u8],
) -> bool {
    A::Signature::try_from_slice(signature)
        .is_ok_and(|signature| algorithm.verify_signature(&signature, key, message))
}

/// RFC 8017 section 5.2.2 step 1, without which adding the modulus makes another valid signature.
fn is_below_modulus(signature: &[u8], key: &rsa::RsaPublicKey) -> bool {
    rsa::BigUint::from_bytes_be(signature) < *key.n()
}

const fn rsa_algorithm(algorithm: Algorithm) -> Option<Rsa> {
    match algorithm {
        Algorithm::Rs256 => Some(Rsa::rs256()),
        Algorithm::Rs384 => Some(Rsa::rs384()),
        Algorithm::Rs512 => Some(Rsa::rs512()),
        Algorithm::Ps256 => Some(Rsa::ps256()),
        Algorithm::Ps384 => Some(Rsa::ps384()),
        Algorithm::Ps512 => Some(Rsa::ps512()),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}
