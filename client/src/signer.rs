//! Signatures with the private key of the client certificate.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, SignatureScheme};
use thiserror::Error;
use tls_session_binding::digest::CertificateThumbprint;

use crate::pem::{self, PemError};

/// JOSE algorithm, TLS scheme and signature form, in the order in which a key is asked for them.
const ALGORITHMS: [(&str, SignatureScheme, Form); 5] = [
    ("ES256", SignatureScheme::ECDSA_NISTP256_SHA256, Form::P256),
    ("ES384", SignatureScheme::ECDSA_NISTP384_SHA384, Form::P384),
    ("EdDSA", SignatureScheme::ED25519, Form::AsIs),
    ("RS256", SignatureScheme::RSA_PKCS1_SHA256, Form::AsIs),
    ("PS256", SignatureScheme::RSA_PSS_SHA256, Form::AsIs),
];

/// How the signature of TLS becomes the one of JOSE.
#[derive(Clone, Copy)]
enum Form {
    AsIs,
    P256,
    P384,
}

/// A client certificate with its private key, ready to sign proofs.
///
/// The key is rustls's: whatever can open the mTLS connection can sign the proof, a key in a
/// hardware module too. Private key and certificate are checked to belong together when the key
/// tells its public half.
///
/// ```no_run
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tls_session_binding_client::signer::Signer;
///
/// let signer = Signer::from_pem_files("client.pem".as_ref(), "client.key".as_ref())?;
/// assert_eq!(signer.algorithm(), "ES256");
/// # Ok(()) }
/// ```
pub struct Signer {
    certified_key: Arc<CertifiedKey>,
    thumbprint: CertificateThumbprint,
    algorithm: &'static str,
    form: Form,
    key: Box<dyn rustls::sign::Signer>,
}

impl Signer {
    /// Reads a certificate chain (leaf first) and a private key (PKCS#8, SEC1 or PKCS#1) in PEM.
    ///
    /// # Errors
    /// [`SignerError::Pem`] for a file that cannot be read, and the errors of [`Signer::new`].
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, SignerError> {
        let chain = certificates_from_pem_file(certificate)?;
        let key = read("private key", key, pem::private_key)?;
        let certified_key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?;
        Self::new(Arc::new(certified_key))
    }

    /// Takes the certificate chain and key that the connection is opened with.
    ///
    /// # Errors
    /// [`SignerError::NoCertificate`], [`SignerError::KeyMismatch`], or
    /// [`SignerError::UnsupportedKey`] for a key that fits no supported algorithm.
    pub fn new(certified_key: Arc<CertifiedKey>) -> Result<Self, SignerError> {
        match certified_key.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(error) => return Err(error.into()),
        }
        let leaf = certified_key.end_entity_cert()?;
        let thumbprint = CertificateThumbprint::of_der(leaf);
        let (algorithm, form, key) = ALGORITHMS
            .iter()
            .find_map(|(name, scheme, form)| {
                Some((*name, *form, certified_key.key.choose_scheme(&[*scheme])?))
            })
            .ok_or(SignerError::UnsupportedKey)?;
        Ok(Self {
            certified_key,
            thumbprint,
            algorithm,
            form,
            key,
        })
    }

    /// The JOSE `alg` of the signatures.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The thumbprint of the leaf certificate: `x5t#S256`.
    #[must_use]
    pub fn thumbprint(&self) -> &CertificateThumbprint {
        &self.thumbprint
    }

    /// The certificate chain and key, for the TLS configuration.
    #[must_use]
    pub fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.certified_key
    }

    /// Signs `message`; the result has the form of JOSE (ECDSA: `r || s`, RFC 7518 section 3.4).
    ///
    /// # Errors
    /// [`SigningError`] when the key refuses.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signature = self.key.sign(message).map_err(|_| SigningError)?;
        match self.form {
            Form::AsIs => Ok(signature),
            Form::P256 => p256::ecdsa::Signature::from_der(&signature)
                .map(|signature| signature.to_bytes().to_vec())
                .map_err(|_| SigningError),
            Form::P384 => p384::ecdsa::Signature::from_der(&signature)
                .map(|signature| signature.to_bytes().to_vec())
                .map_err(|_| SigningError),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Reads every certificate of a PEM file.
///
/// # Errors
/// [`SignerError::Pem`] for a file that cannot be read or holds none.
pub fn certificates_from_pem_file(
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, SignerError> {
    read("certificate", path, pem::certificates)
}

fn read<T>(
    what: &'static str,
    path: &Path,
    parse: impl Fn(&[u8]) -> Result<T, PemError>,
) -> Result<T, SignerError> {
    let text = std::fs::read(path).map_err(|error| error.to_string());
    let parsed = text.and_then(|text| parse(&text).map_err(|error| error.to_string()));
    parsed.map_err(|problem| SignerError::Pem {
        what,
        path: path.to_owned(),
        problem,
    })
}

/// Why certificate and key cannot be used.
#[derive(Debug, Error)]
pub enum SignerError {
    /// A PEM file cannot be read.
    #[error("cannot read a {what} from {}: {problem}", path.display())]
    Pem {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no certificate.
    #[error("there is no client certificate")]
    NoCertificate,
    /// The private key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The key fits no supported algorithm.
    #[error(
        "the key is not supported: use EC P-256, EC P-384, Ed25519, or RSA of 2048 bits or more"
    )]
    UnsupportedKey,
    /// The certificate has expired or is not valid yet.
    #[error("the certificate has expired, or is not valid yet")]
    NotValidNow,
    /// The certificate cannot be parsed.
    #[error("the certificate is not usable")]
    Certificate(#[source] rustls::Error),
}

impl From<rustls::Error> for SignerError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InconsistentKeys(_) => Self::KeyMismatch,
            rustls::Error::NoCertificatesPresented => Self::NoCertificate,
            rustls::Error::General(_) => Self::UnsupportedKey,
            other => Self::Certificate(other),
        }
    }
}

/// The private key did not make a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the private key did not make a signature")]
pub struct SigningError;

#[cfg(test)]
mod tests {
    use ::aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
        UnparsedPublicKey, VerificationAlgorithm,
    };
    use rcgen::{
        PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
        PKCS_RSA_SHA256, SignatureAlgorithm,
    };

    use super::*;
    use crate::testing::{Identity, pem};

    /// Kind of key, expected `alg`, length of the signature, and another library's verification.
    type Case = (
        &'static SignatureAlgorithm,
        &'static str,
        usize,
        &'static dyn VerificationAlgorithm,
    );

    const CASES: [Case; 4] = [
        (
            &PKCS_ECDSA_P256_SHA256,
            "ES256",
            64,
            &ECDSA_P256_SHA256_FIXED,
        ),
        (
            &PKCS_ECDSA_P384_SHA384,
            "ES384",
            96,
            &ECDSA_P384_SHA384_FIXED,
        ),
        (&PKCS_ED25519, "EdDSA", 64, &ED25519),
        (&PKCS_RSA_SHA256, "RS256", 256, &RSA_PKCS1_2048_8192_SHA256),
    ];

    #[test]
    fn each_kind_of_key_signs_with_its_algorithm_in_the_form_of_jose() {
        for (kind, algorithm, length, verification) in CASES {
            let identity = Identity::new(kind);
            let signer = identity.signer().unwrap();
            assert_eq!(signer.algorithm(), algorithm);
            // Often enough to meet an r or s with leading zeros.
            for number in 0..if length == 256 { 1_u32 } else { 600 } {
                let message = number.to_be_bytes();
                let signature = signer.sign(&message).unwrap();
                assert_eq!(signature.len(), length, "{algorithm}");
                UnparsedPublicKey::new(verification, &identity.public_key)
                    .verify(&message, &signature)
                    .expect(algorithm);
            }
        }
    }

    #[test]
    fn an_unsupported_key_is_refused() {
        let refused = Identity::new(&PKCS_ECDSA_P521_SHA512).signer();
        assert!(matches!(refused, Err(SignerError::UnsupportedKey)));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let mut identity = Identity::new(&PKCS_ECDSA_P256_SHA256);
        identity.private_key = Identity::new(&PKCS_ECDSA_P256_SHA256).private_key;
        assert!(matches!(identity.signer(), Err(SignerError::KeyMismatch)));
    }

    #[test]
    fn keys_are_read_in_pkcs8_sec1_and_pkcs1_form() {
        let p256 = Identity::new(&PKCS_ECDSA_P256_SHA256);
        let rsa = Identity::new(&PKCS_RSA_SHA256);
        let forms = [
            (&p256, "PRIVATE KEY", p256.private_key.clone()),
            (&p256, "EC PRIVATE KEY", p256.inner_private_key()),
            (&rsa, "PRIVATE KEY", rsa.private_key.clone()),
            (&rsa, "RSA PRIVATE KEY", rsa.inner_private_key()),
        ];
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (
            directory.path().join("c.pem"),
            directory.path().join("c.key"),
        );
        for (identity, label, der) in forms {
            std::fs::write(&certificate, pem("CERTIFICATE", &identity.certificate)).unwrap();
            std::fs::write(&key, pem(label, &der)).unwrap();
            let signer = Signer::from_pem_files(&certificate, &key).expect(label);
            let expected = CertificateThumbprint::of_der(&identity.certificate);
            assert_eq!(signer.thumbprint().to_base64url(), expected.to_base64url());
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let refused = Signer::from_pem_files("absent.pem".as_ref(), "absent.key".as_ref());
        assert!(refused.unwrap_err().to_string().contains("absent.pem"));
        let directory = tempfile::tempdir().unwrap();
        let (certificate, encrypted) = (
            directory.path().join("c.pem"),
            directory.path().join("encrypted.key"),
        );
        std::fs::write(&encrypted, pem("ENCRYPTED PRIVATE KEY", &[0; 9])).unwrap();
        let refused = certificates_from_pem_file(&encrypted)
            .unwrap_err()
            .to_string();
        assert!(refused.ends_with("encrypted.key: holds no certificate in PEM"));
        std::fs::write(&certificate, pem("CERTIFICATE", &[0; 9])).unwrap();
        let refused = Signer::from_pem_files(&certificate, &encrypted)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("encrypted.key: holds an encrypted private key"));
    }

    #[test]
    fn debug_shows_no_key() {
        let signer = Identity::new(&PKCS_ED25519).signer().unwrap();
        assert_eq!(
            format!("{signer:?}"),
            r#"Signer { algorithm: "EdDSA", .. }"#
        );
    }
}
