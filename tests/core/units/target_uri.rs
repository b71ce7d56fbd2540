use tls_session_binding::request::RequestTarget;
use tls_session_binding::target_uri::{ClientAuthorities, matches};

/// `htu` · `:authority` · `:path` · whether they match.
const EXAMPLES: &[(&str, &str, &str, bool)] = &[
    ("https://a.example/b", "a.example", "/b", true),
    ("https://a.example/b?x=y", "a.example", "/b", true),
    ("https://a.example/b#f", "a.example", "/b?x=y", true),
    ("HTTPS://A.Example/b", "a.EXAMPLE", "/b", true),
    ("https://a.example:443/b", "a.example", "/b", true),
    ("https://a.example/b", "a.example:443", "/b", true),
    ("https://a.example:/b", "a.example", "/b", true),
    ("https://a.example:8443/b", "a.example:8443", "/b", true),
    ("https://[::1]:8443/b", "[::1]:8443", "/b", true),
    ("https://a.example", "a.example", "/", true),
    ("https://a.example?x", "a.example", "/", true),
    ("https://a.example/%7eb", "a.example", "/~b", true),
    ("https://a.example/%2fb", "a.example", "/%2Fb", true),
    ("https://a.example/a/../b", "a.example", "/b", true),
    ("https://a.example/b", "a.example", "/a/%2e%2E/./b", true),
    ("https://a.example/a/..", "a.example", "/", true),
    ("https://a.example/../b", "a.example", "/b", true),
    ("/b", "a.example", "/b?x", true),
    ("/%62", "a.example", "/b", true),
    ("http://a.example/b", "a.example", "/b", false),
    ("https://b.example/b", "a.example", "/b", false),
    ("https://a.example./b", "a.example", "/b", false),
    ("https://a.example:8443/b", "a.example", "/b", false),
    ("https://a.example:0/b", "a.example", "/b", false),
    ("https://a.example:65979/b", "a.example", "/b", false),
    ("https://a.example:x/b", "a.example:x", "/b", false),
    ("https://u@a.example/b", "a.example", "/b", false),
    ("https://a.example@evil.example/b", "a.example", "/b", false),
    ("https://u@a.example/b", "u@a.example", "/b", false),
    ("https:///b", "", "/b", false),
    ("https://ä.example/b", "ä.example", "/b", false),
    ("https://a.example/b/", "a.example", "/b", false),
    ("https://a.example/B", "a.example", "/b", false),
    ("https://a.example//b", "a.example", "/b", false),
    ("https://a.example/a%2Fb", "a.example", "/a/b", false),
    ("https://a.example/a;p=1", "a.example", "/a", false),
    ("https://a.example/%252e", "a.example", "/%2e", false),
    ("https://a.example/%zz", "a.example", "/%zz", false),
    ("https://a.example/%", "a.example", "/%", false),
    ("https://a.example/a b", "a.example", "/a b", false),
    ("https://a.example/ä", "a.example", "/ä", false),
    ("//a.example/b", "a.example", "/b", false),
    ("b", "a.example", "/b", false),
    ("", "a.example", "/", false),
    ("*", "a.example", "*", false),
    ("https://a.example/", "a.example", "*", false),
];

#[test]
fn an_authority_that_a_proxy_changed_stands_for_exactly_one_of_the_clients() {
    let pairs = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|&(seen, own)| (seen.to_owned(), own.to_owned()));
        ClientAuthorities::parse(pairs)
    };
    let known = pairs(&[("API.example", "api.example:8443"), ("b", "c")]).unwrap();
    for (seen, clients) in [
        ("api.example", "api.example:8443"),
        ("api.example:443", "api.example:8443"),
        ("b", "c"),
        ("c", "c"),
        ("api.example:8443", "api.example:8443"),
        ("x.api.example", "x.api.example"),
        ("", ""),
    ] {
        assert_eq!(known.of(seen.as_bytes()), clients.as_bytes(), "{seen}");
    }
    for wrong in [
        &[("a", "b"), ("A:443", "c")][..],
        &[("", "b")],
        &[("a", "b@c")],
        &[("a", "")],
        &[("*", "b/c")],
    ] {
        assert_eq!(pairs(wrong), None, "{wrong:?}");
    }
}

#[test]
fn htu_matches_exactly_the_equivalent_targets() {
    for &(htu, authority, path, expected) in EXAMPLES {
        let request = RequestTarget {
            authority: authority.as_bytes(),
            path: path.as_bytes(),
        };
        assert_eq!(
            matches(htu, request),
            expected,
            "{htu} against {authority}{path}"
        );
    }
}
