use tls_session_binding::pattern::{HostPattern, PathPattern};
use tls_session_binding::target_uri::normalise_host;

fn path(pattern: &str) -> Result<PathPattern, serde_json::Error> {
    serde_json::from_str(pattern)
}

#[test]
fn paths_match_exactly_by_prefix_or_by_template() {
    let cases = [
        (r#"{"exact":"/a"}"#, "/a", true),
        (r#"{"exact":"/a"}"#, "/a/", false),
        (r#"{"prefix":"/a"}"#, "/a", true),
        (r#"{"prefix":"/a"}"#, "/a/b", true),
        (r#"{"prefix":"/a"}"#, "/ab", false),
        (r#"{"prefix":"/"}"#, "/anything", true),
        (r#"{"template":"/u/{id}/o"}"#, "/u/7/o", true),
        (r#"{"template":"/u/{id}/o"}"#, "/u//o", false),
        (r#"{"template":"/u/{id}/o"}"#, "/u/7/8/o", false),
        (r#"{"template":"/u/{id}/o"}"#, "/u/7/p", false),
    ];
    for (pattern, given, expected) in cases {
        assert_eq!(
            path(pattern).unwrap().matches(given.as_bytes()),
            expected,
            "{pattern} {given}"
        );
    }
}

#[test]
fn a_pattern_that_could_never_match_is_refused() {
    let refused = [
        r#"{"exact":"a"}"#,
        r#"{"exact":"/a/../b"}"#,
        r#"{"prefix":"/%61"}"#,
        r#"{"prefix":"/a?b"}"#,
        r#"{"template":"u/{id}"}"#,
        r#"{"template":"/u/{id"}"#,
        r#"{"template":"/u/x{id}"}"#,
        r#"{"template":"/{}"}"#,
        r#"{"template":"/u/%61/{id}"}"#,
        r#"{"template":"/u/../{id}"}"#,
        r#"{"template":"/u/./{id}"}"#,
        r#"{"template":"/{id}/%zz"}"#,
        r#"{"template":"/{id}/a?b"}"#,
        r#"{"template":"/{id}/%2fa"}"#,
        r#"{"regex":".*"}"#,
        r#""/a""#,
    ];
    for pattern in refused {
        assert!(path(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn hosts_match_without_port_and_case() {
    let cases = [
        ("api.example.com", "API.example.com:8443", true),
        ("api.example.com", "x.api.example.com", false),
        ("*.example.com", "api.example.com", true),
        ("*.example.com", "example.com", false),
        ("api.example.com", "api.example.com.:443", true),
        ("*.example.com", "api.example.org", false),
        ("[::1]", "[::1]:8443", true),
    ];
    for (pattern, authority, expected) in cases {
        let pattern = HostPattern::try_from(pattern.to_owned()).unwrap();
        assert_eq!(
            normalise_host(authority.as_bytes()).is_some_and(|host| pattern.matches(&host)),
            expected,
            "{pattern:?} {authority}"
        );
    }
    for pattern in [
        "",
        "*.",
        "*",
        "a b",
        "a*.com",
        "api.example.com:8443",
        "*.example.com:443",
        "api.example.com.",
        "api..example.com",
        ".example.com",
        "u@api.example.com",
        "::1",
        "[::1]:8443",
        "[::1",
        "[a]",
        "*.[::1]",
    ] {
        assert!(
            HostPattern::try_from(pattern.to_owned()).is_err(),
            "{pattern}"
        );
    }
}
