//! Access tokens and their `cnf`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tls_session_binding::access_token::AccessToken;
use tls_session_binding::confirmation::Confirmation;
use tls_session_binding::limits::MAX_ACCESS_TOKEN_BYTES;

/// No token whose `cnf` says anything about certificate, connection or key passes as unbound.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Ok(token) = AccessToken::parse(text) else {
        return;
    };
    assert!(text.len() <= MAX_ACCESS_TOKEN_BYTES);
    assert_eq!(format!("{token:?}"), "AccessToken(redacted)");
    let Ok(claims) = token.claims() else { return };
    let payload = text.split('.').nth(1).expect("a payload");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    let payload: Value = serde_json::from_slice(&payload).expect("JSON");
    let says = |member: &str| payload["cnf"].get(member).is_some();
    let bound = says("x5t#S256") || says("tls_exp") || says("jkt") || says("jwk");
    match claims.confirmation {
        Confirmation::None => assert!(!bound, "a bound token is read as unbound"),
        Confirmation::Certificate(_) => assert!(!says("tls_exp"), "the connection is not checked"),
        Confirmation::Session(_) => assert!(says("tls_exp") && says("x5t#S256")),
    }
}
