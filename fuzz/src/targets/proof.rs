//! Proofs, before anything of them is verified.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tls_session_binding::limits::MAX_PROOF_BYTES;
use tls_session_binding::proof::UntrustedProof;

/// What is accepted has one spelling, and says as a generic reader what it says here.
pub fn run(input: &[u8]) {
    if UntrustedProof::parse(input).is_err() {
        return;
    }
    assert!(input.len() <= MAX_PROOF_BYTES);
    let text = std::str::from_utf8(input).expect("ASCII");
    let parts: Vec<Vec<u8>> = text
        .split('.')
        .map(|part| {
            let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
            assert_eq!(
                URL_SAFE_NO_PAD.encode(&bytes),
                part,
                "two spellings of the same bytes"
            );
            bytes
        })
        .collect();
    let [header, claims, _signature] = &parts[..] else {
        panic!("{} parts", parts.len());
    };
    let [header, claims]: [Value; 2] =
        [header, claims].map(|part| serde_json::from_slice(part).expect("JSON"));
    assert!(header["typ"].is_string() && header["alg"].is_string());
    assert!(header.get("crit").is_none() && header.get("b64").is_none());
    assert!(claims["ath"].is_string() && claims["ekm"].is_string() && claims["iat"].is_number());
    for optional in ["jti", "htm", "htu"] {
        assert!(
            claims.get(optional).is_none_or(Value::is_string),
            "{optional} of a wrong type"
        );
    }
}
