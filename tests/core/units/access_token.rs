use tls_session_binding::access_token::AccessToken;
use tls_session_binding::base64url;
use tls_session_binding::claims::TokenClaims;
use tls_session_binding::confirmation::Confirmation;
use tls_session_binding::error::ClientFault;
use tls_session_binding::exporter;
use tls_session_binding::limits::MAX_ACCESS_TOKEN_BYTES;

fn jwt(header: &str, payload: &str) -> String {
    format!(
        "{}.{}.c2ln",
        base64url::encode(header.as_bytes()),
        base64url::encode(payload.as_bytes())
    )
}

fn claims(payload: &str) -> Result<TokenClaims, ClientFault> {
    AccessToken::parse(&jwt(r#"{"alg":"ES256","typ":"at+jwt"}"#, payload))?.claims()
}

#[test]
fn debug_shows_nothing_of_the_token_and_its_hash() {
    let token = AccessToken::parse("a.b.c").unwrap();
    assert_eq!(format!("{token:?}"), "AccessToken(redacted)");
    assert_eq!(format!("{:?}", token.hash()), "AccessTokenHash(redacted)");
}

#[test]
fn a_token_has_b64token_syntax_and_a_bounded_length() {
    for text in ["a", "a.b-c_d~e+f/g==", &"a".repeat(MAX_ACCESS_TOKEN_BYTES)] {
        assert!(AccessToken::parse(text).is_ok(), "{text}");
    }
    for text in ["", "=", "a=b", "a b", "a,b", "ä", "a\"", "a\0"] {
        let refused = AccessToken::parse(text).map(|_| ());
        assert_eq!(refused, Err(ClientFault::AuthorizationMalformed), "{text}");
    }
    let long = AccessToken::parse(&"a".repeat(MAX_ACCESS_TOKEN_BYTES + 1)).map(|_| ());
    assert_eq!(long, Err(ClientFault::AccessTokenTooLong));
}

#[test]
fn exp_and_cnf_are_read_and_everything_else_is_ignored() {
    let thumbprint = base64url::encode(&[1; 32]);
    let payload = format!(
        r#"{{"iss":"x","exp":1700000000.5,"cnf":{{"x5t#S256":"{thumbprint}","tls_exp":"{}"}}}}"#,
        exporter::LABEL
    );
    let claims = claims(&payload).unwrap();
    assert_eq!(claims.expires, Some(1_700_000_000));
    assert!(matches!(claims.confirmation, Confirmation::Session(_)));
}

#[test]
fn a_token_without_cnf_is_not_bound() {
    let confirmation = claims("{}").map(|claims| claims.confirmation);
    assert_eq!(confirmation, Ok(Confirmation::None));
}

#[test]
fn claims_that_cannot_be_read_are_never_taken_as_absent() {
    for payload in [
        "",
        "[]",
        "null",
        r#"{"exp":"1"}"#,
        r#"{"exp":null}"#,
        r#"{"cnf":{},"cnf":{}}"#,
    ] {
        assert_eq!(
            claims(payload),
            Err(ClientFault::AccessTokenUnreadable),
            "{payload}"
        );
    }
    for payload in [r#"{"cnf":null}"#, r#"{"cnf":[]}"#, r#"{"cnf":"x"}"#] {
        assert_eq!(
            claims(payload),
            Err(ClientFault::ConfirmationUnreadable),
            "{payload}"
        );
    }
}

#[test]
fn what_is_not_a_signed_jwt_is_unreadable() {
    let proof = jwt(r#"{"alg":"ES256","typ":"tls-binding-proof+jwt"}"#, "{}");
    let jwe = "e30.e30.e30.e30.e30";
    for text in [
        "opaque",
        "a.b",
        "e30.e30",
        jwe,
        "e30.e31.e30",
        "e30=.e30.e30",
        proof.as_str(),
    ] {
        let refused = AccessToken::parse(text).and_then(|token| token.claims());
        assert!(refused.is_err(), "{text}");
    }
}
