//! What a host says of a connection: properties of PROXY protocol, metadata and filter state.

use tls_session_binding::base64url;
use tls_session_binding::certificate::{CertificateEncoding, ClientCertificate};
use tls_session_binding::exporter::{ExporterEncoding, ExporterValue};

/// An exporter value has one text in base64url, and no more than case is free in hexadecimal.
pub fn run(input: &[u8]) {
    if let Ok(value) = ExporterValue::parse(input, ExporterEncoding::Base64url) {
        assert_eq!(value.to_base64url().as_bytes(), input);
        assert!(
            !format!("{value:?}")
                .as_bytes()
                .windows(input.len())
                .any(|part| part == input)
        );
    }
    if let Ok(value) = ExporterValue::parse(input, ExporterEncoding::Hex) {
        let hex: String = value
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert!(hex.as_bytes().eq_ignore_ascii_case(input));
    }
    if let Ok(bytes) = base64url::decode(input) {
        assert_eq!(
            base64url::encode(&bytes).as_bytes(),
            input,
            "two texts for the same bytes"
        );
    }
    for encoding in [CertificateEncoding::Base64Der, CertificateEncoding::Pem] {
        let _ = ClientCertificate::parse(input, encoding);
    }
}
