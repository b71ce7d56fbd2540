use serde::Deserialize;
use tls_session_binding::json::{Malformed, parse_object, parse_object_of_depth};
use tls_session_binding::limits::{MAX_JSON_DEPTH, MAX_TOKEN_JSON_DEPTH};

#[derive(Debug, PartialEq, Deserialize)]
struct Example {
    a: u8,
}

#[test]
fn one_object_is_read_and_unknown_members_are_ignored() {
    for text in [r#"{"a":1}"#, r#" { "b" : [[{}]] , "\u0061" : 1 } "#] {
        assert_eq!(
            parse_object::<Example>(text.as_bytes()),
            Ok(Example { a: 1 }),
            "{text}"
        );
    }
}

#[test]
fn anything_but_one_clean_object_is_refused() {
    let refused: [&[u8]; 16] = [
        b"",
        b"[1]",
        b"1",
        b"null",
        br#""a""#,
        br#"{"a":1} x"#,
        br#"{"a":1}{"a":1}"#,
        b"{\"a\":1}\0",
        b"\xef\xbb\xbf{\"a\":1}",
        br#"{"a":1,"a":1}"#,
        br#"{"a":1,"\u0061":1}"#,
        br#"{"a":1,"b":{"c":1,"c":2}}"#,
        br#"{"a":1,}"#,
        br#"{"a":01}"#,
        br#"{"a":1,"b":"\ud800"}"#,
        b"{\"a\":1,\"b\":\"\xff\"}",
    ];
    for text in refused {
        let shown = String::from_utf8_lossy(text);
        assert_eq!(parse_object::<Example>(text), Err(Malformed), "{shown}");
    }
}

#[test]
fn nesting_is_bounded_on_both_sides_of_the_limit() {
    let nested = |depth: usize| {
        format!(
            "{{\"a\":1,\"b\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    assert!(parse_object::<Example>(nested(MAX_JSON_DEPTH).as_bytes()).is_ok());
    let deep = |depth| {
        let text = nested(depth);
        parse_object_of_depth::<Example>(text.as_bytes(), MAX_TOKEN_JSON_DEPTH)
    };
    assert!(deep(MAX_TOKEN_JSON_DEPTH).is_ok());
    assert_eq!(deep(MAX_TOKEN_JSON_DEPTH + 1), Err(Malformed));
    for depth in [MAX_JSON_DEPTH + 1, 16, 128, 10_000] {
        assert_eq!(
            parse_object::<Example>(nested(depth).as_bytes()),
            Err(Malformed)
        );
    }
}
