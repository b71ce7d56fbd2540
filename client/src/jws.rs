//! Compact serialisation of a JWS (RFC 7515 section 7.1).

use serde::Serialize;
use tls_session_binding::base64url;

/// Header and claims as they are signed.
pub(crate) fn signing_input(
    header: &impl Serialize,
    claims: &impl Serialize,
) -> Result<String, serde_json::Error> {
    let header = base64url::encode(&serde_json::to_vec(header)?);
    let claims = base64url::encode(&serde_json::to_vec(claims)?);
    Ok(format!("{header}.{claims}"))
}

/// The signed text with its signature.
pub(crate) fn compact(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", base64url::encode(signature))
}
