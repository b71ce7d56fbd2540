use tls_session_binding::elsewhere::TokensElsewhere;
use tls_session_binding::error::ClientFault;

fn places() -> TokensElsewhere {
    TokensElsewhere {
        headers: vec!["x-token".to_owned()],
        cookies: vec!["session".to_owned()],
        params: vec!["jwt".to_owned()],
    }
}

#[test]
fn a_token_in_the_query_is_refused_however_its_name_is_written() {
    let refused = [
        "/?access_token=a",
        "/x?a=b&access_token",
        "/?%61ccess%5Ftoken=",
        "/?a;Access_Token=b",
    ];
    for path in refused {
        let refusal = TokensElsewhere::default().refuse_in_query(path.as_bytes());
        assert_eq!(refusal, Err(ClientFault::AccessTokenInQuery), "{path}");
    }
    for path in [
        "/",
        "/access_token=a",
        "/?access_tokens=1",
        "/?a=access_token",
        "/?xaccess_token=1",
        "/?jwt=1",
        "*",
    ] {
        let refusal = TokensElsewhere::default().refuse_in_query(path.as_bytes());
        assert_eq!(refusal, Ok(()), "{path}");
    }
    let listed = places().refuse_in_query(b"/?a=1&JWT=x");
    assert_eq!(listed, Err(ClientFault::TokenElsewhere));
}

#[test]
fn listed_headers_and_cookies_hold_a_token_and_others_do_not() {
    let cases: [(&str, &str, bool); 7] = [
        ("x-token", "", true),
        ("x-tokens", "a", false),
        ("cookie", "session=a", true),
        ("cookie", "a=b; session=c", true),
        ("cookie", "a=session; sessions=c", false),
        ("cookie", "session", true),
        ("x-cookie", "session=a", false),
    ];
    for (name, value, expected) in cases {
        let found = places().is_in_header(name, value.as_bytes());
        assert_eq!(found, expected, "{name}: {value}");
    }
}
