//! Identities for unit tests.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;

use crate::signer::Signer;

/// A self-signed certificate with a new key of this kind, and the raw public key.
pub(crate) fn signer(algorithm: &'static SignatureAlgorithm) -> (Arc<Signer>, Vec<u8>) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    let public_key = key.public_key_raw().to_vec();
    let private_key = any_supported_type(&key.serialize_der().try_into().unwrap()).unwrap();
    let certified = CertifiedKey::new(vec![certificate.der().clone()], private_key);
    (
        Arc::new(Signer::new(Arc::new(certified)).unwrap()),
        public_key,
    )
}
