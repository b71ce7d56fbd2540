use tls_session_binding::authorization::Credentials;
use tls_session_binding::error::ClientFault;

fn shown(values: &[&[u8]]) -> Result<Option<String>, ClientFault> {
    Credentials::parse(values).map(|credentials| match credentials {
        Credentials::None => None,
        Credentials::Other { .. } => Some("other".into()),
        Credentials::Bearer { token, .. } => Some(format!("bearer {}", token.as_str())),
    })
}

#[test]
fn the_scheme_is_case_insensitive_and_spaces_around_the_token_do_not_count() {
    for value in [
        "Bearer a.b.c",
        "bearer a.b.c",
        "BEARER  a.b.c",
        "Bearer a.b.c ",
    ] {
        assert_eq!(
            shown(&[value.as_bytes()]),
            Ok(Some("bearer a.b.c".into())),
            "{value}"
        );
    }
    assert_eq!(shown(&[]), Ok(None));
}

#[test]
fn another_scheme_is_left_to_others() {
    for value in [
        "Basic dXNlcjpwdw==",
        "DPoP a.b.c",
        "Negotiate",
        "Digest a=\"b\", c=d",
        "Digest username=\"bearer-bot\"",
        "Digest username=\"bearer\"",
    ] {
        assert_eq!(
            shown(&[value.as_bytes()]),
            Ok(Some("other".into())),
            "{value}"
        );
    }
}

#[test]
fn whatever_is_not_exactly_one_well_formed_credential_is_refused() {
    let malformed: [&[u8]; 18] = [
        b"",
        b" ",
        b" Bearer a",
        b"Bearer",
        b"Bearer ",
        b"Bearer:x",
        b"Bearer\ta.b.c",
        b"Bearer a b",
        b"Bearer a,Bearer a",
        b"Bearer a, Basic b",
        b"Basic b,Bearer a",
        b"Bearer a\"",
        b"Bearer =",
        b"Bearer \xff",
        b"xBearer a",
        b"Digest a=b,BEARER\ta",
        b"Digest a=\"bearer \"",
        b"Bearer  ",
    ];
    for value in malformed {
        assert_eq!(
            shown(&[value]),
            Err(ClientFault::AuthorizationMalformed),
            "{value:?}"
        );
    }
    let twice: [&[u8]; 2] = [b"Bearer a", b"Bearer a"];
    assert_eq!(shown(&twice), Err(ClientFault::AuthorizationRepeated));
}
