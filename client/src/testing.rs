//! Identities for unit tests.

use std::sync::Arc;

use p256::pkcs8::PrivateKeyInfo;
use p256::pkcs8::der::pem::{LineEnding, encode_string};
use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;

use crate::signer::{Signer, SignerError};

/// A self-signed certificate with a new key.
pub(crate) struct Identity {
    /// DER.
    pub(crate) certificate: Vec<u8>,
    /// PKCS#8 DER.
    pub(crate) private_key: Vec<u8>,
    /// The bare public key: point, RSA public key, or Ed25519 key.
    pub(crate) public_key: Vec<u8>,
}

impl Identity {
    pub(crate) fn new(kind: &'static SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(kind).unwrap();
        Self {
            certificate: CertificateParams::default()
                .self_signed(&key)
                .unwrap()
                .der()
                .to_vec(),
            private_key: key.serialize_der(),
            public_key: key.public_key_raw().to_vec(),
        }
    }

    pub(crate) fn signer(&self) -> Result<Signer, SignerError> {
        let key = self.private_key.clone().try_into().unwrap();
        let key = any_supported_type(&key).unwrap();
        Signer::new(Arc::new(CertifiedKey::new(
            vec![self.certificate.clone().into()],
            key,
        )))
    }

    /// What PKCS#8 wraps: SEC1 for an EC key, PKCS#1 for an RSA key.
    pub(crate) fn inner_private_key(&self) -> Vec<u8> {
        PrivateKeyInfo::try_from(self.private_key.as_slice())
            .unwrap()
            .private_key
            .to_vec()
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    encode_string(label, LineEnding::LF, der).unwrap()
}
