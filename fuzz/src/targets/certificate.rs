//! Client certificates as the host writes them: DER in base64, PEM.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tls_session_binding::certificate::{CertificateEncoding, ClientCertificate};
use tls_session_binding::digest::CertificateThumbprint;
use tls_session_binding::limits::{MAX_CERTIFICATE_BYTES, MAX_RSA_BITS, MIN_RSA_BITS};
use tls_session_binding::public_key::{KeyKind, PublicKey};

/// All ways to write a certificate come to the same, and its key is within its bounds.
pub fn run(input: &[u8]) {
    let _ = ClientCertificate::parse(input, CertificateEncoding::Pem);
    let _ = ClientCertificate::parse(input, CertificateEncoding::Base64Der);
    let _ = PublicKey::from_spki_der(input);
    let read = ClientCertificate::from_der(input);
    let base64 = STANDARD.encode(input);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    for (text, encoding) in [
        (base64, CertificateEncoding::Base64Der),
        (pem, CertificateEncoding::Pem),
    ] {
        let again = ClientCertificate::parse(text.as_bytes(), encoding);
        assert_eq!(
            read.is_ok(),
            again.is_ok(),
            "{encoding:?} reads another certificate"
        );
    }
    let Ok(certificate) = read else { return };
    assert!(input.len() <= MAX_CERTIFICATE_BYTES);
    assert_eq!(
        *certificate.thumbprint(),
        CertificateThumbprint::of_der(input)
    );
    if let Ok(key) = certificate.key() {
        assert!(
            PublicKey::from_spki_der(key.spki_der()).is_ok(),
            "the key cannot be read again"
        );
        if key.kind() == KeyKind::Rsa {
            assert!((MIN_RSA_BITS / 8..=MAX_RSA_BITS / 8).contains(&key.signature_bytes()));
        }
    }
}
