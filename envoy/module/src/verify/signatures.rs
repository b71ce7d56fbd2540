//! Signatures by the library that does the module's TLS.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use tls_session_binding::algorithm::Algorithm;
use tls_session_binding::public_key::PublicKey;
use tls_session_binding::signature::{RustCrypto, SignatureVerifier};

/// Verifies by AWS-LC, but for Ed25519: there, two libraries may differ over signatures that only a key's
/// holder can make, and every host of the verifier shall have one verdict.
#[derive(Debug, Clone, Copy, Default)]
pub struct AwsLc;

impl SignatureVerifier for AwsLc {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let by: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
            Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
            Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
            Algorithm::EdDsa => return RustCrypto.verify(algorithm, key, message, signature),
        };
        key.kind() == algorithm.key_kind()
            && signature.len() == key.signature_bytes()
            && UnparsedPublicKey::new(by, key.spki_der())
                .verify(message, signature)
                .is_ok()
    }
}
