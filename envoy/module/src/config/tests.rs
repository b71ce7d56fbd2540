use rustls::{CipherSuite, SupportedCipherSuite};

use super::peer::Presence;
use super::*;

const MINIMAL: &str =
    r#"{"identity": {"certificate_chain": "c", "private_key": "k"}, "peer": {"ca": "a"}}"#;

fn mistakes(json: &str, direction: Direction) -> String {
    Config::parse(json.as_bytes(), direction)
        .unwrap_err()
        .to_string()
}

#[test]
fn certificate_key_and_ca_are_enough_and_the_defaults_are_the_strict_ones() {
    let config = Config::parse(MINIMAL.as_bytes(), Direction::Downstream).unwrap();
    assert_eq!(config.peer.certificate, Presence::Required);
    assert!(config.peer.allow.is_empty());
    assert_eq!(config.tls.versions, [&rustls::version::TLS13]);
    assert_eq!(config.tls.alpn, ["h2", "http/1.1"]);
    let suites = &config.tls.cipher_suites;
    let all = rustls::crypto::aws_lc_rs::DEFAULT_CIPHER_SUITES;
    assert!(suites.len() == all.len() && all.iter().all(|suite| suites.contains(suite)));
    assert_eq!(
        suites.first().map(SupportedCipherSuite::suite),
        Some(CipherSuite::TLS13_AES_128_GCM_SHA256)
    );
    assert_eq!(
        config.tls.groups.first().map(|group| group.name()),
        Some(rustls::NamedGroup::X25519MLKEM768)
    );
}

#[test]
fn every_mistake_is_reported_at_once_with_its_path() {
    let json = r#"{"identity": {"certificate_chain": 1, "extra": {}},
        "peer": {"certificate": "maybe", "allow": {"spiffe_ids": ["http://x"], "thumbprints": ["AA"], "ips": []}},
        "tls": {"versions": ["1.1"], "alpn": "h2", "ciphers": [], "cipher_suites": ["RC4"], "groups": []}, "other": 1}"#;
    let found = mistakes(json, Direction::Downstream);
    for path in [
        "identity.certificate_chain: expected",
        "identity.private_key: is missing",
        "identity.extra: unknown key",
        "peer.ca: is missing",
        "peer.certificate: expected",
        "peer.allow.spiffe_ids: `http://x`",
        "peer.allow.thumbprints: `AA`",
        "peer.allow.ips: unknown key",
        "tls.versions: `1.1` is not supported",
        "tls.alpn: expected",
        "tls.ciphers: unknown key",
        "tls.cipher_suites: `RC4` is not supported",
        "tls.groups: at least one is needed",
        "other: unknown key",
    ] {
        assert!(found.contains(path), "{path} is not in {found}");
    }
}

#[test]
fn a_key_that_is_there_twice_is_refused() {
    let json = r#"{"peer": {"ca": "a", "ca": "b"}}"#;
    assert!(mistakes(json, Direction::Downstream).contains("twice"));
}

#[test]
fn what_is_not_an_object_is_refused() {
    for json in ["", "[]", "1", "{", "\"x\"", "{\"peer\": 1}", "\u{0}"] {
        assert!(
            Config::parse(json.as_bytes(), Direction::Downstream).is_err(),
            "{json}"
        );
    }
}

#[test]
fn upstream_says_whom_to_expect_and_which_protocol_the_cluster_speaks() {
    let found = mistakes(MINIMAL, Direction::Upstream);
    assert!(found.contains("peer.server_name: is missing"), "{found}");
    assert!(found.contains("tls.alpn: name the one"), "{found}");
    let json = r#"{"identity": {"certificate_chain": "c", "private_key": "k"},
        "peer": {"ca": "a", "allow": {"spiffe_ids": ["spiffe://demo/b"]}}, "tls": {"alpn": ["h2"]}}"#;
    assert!(Config::parse(json.as_bytes(), Direction::Upstream).is_ok());
}

#[test]
fn what_belongs_to_one_direction_is_unknown_in_the_other() {
    let json = MINIMAL.replace(r#""ca": "a""#, r#""ca": "a", "server_name": "x""#);
    assert!(mistakes(&json, Direction::Downstream).contains("peer.server_name: unknown key"));
    let json = MINIMAL.replace(r#""ca": "a""#, r#""ca": "a", "certificate": "optional""#);
    assert!(mistakes(&json, Direction::Upstream).contains("peer.certificate: unknown key"));
}

#[test]
fn a_pattern_of_the_prover_that_can_match_no_request_is_refused() {
    use super::prover::ProverConfig;

    for (allow, key) in [
        (r#"{"hosts": ["service.demo:8443"]}"#, "allow.hosts"),
        (r#"{"hosts": ["service.*"]}"#, "allow.hosts"),
        (r#"{"hosts": [""]}"#, "allow.hosts"),
        (r#"{"paths": ["a"]}"#, "allow.paths"),
        (r#"{"paths": ["/a/../b"]}"#, "allow.paths"),
        (r#"{"paths": ["/a?b"]}"#, "allow.paths"),
    ] {
        let config = format!(r#"{{"allow": {allow}}}"#);
        let mistakes = ProverConfig::parse(config.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(mistakes.starts_with(key), "{allow}: {mistakes}");
    }
}

#[test]
fn the_prover_compares_targets_as_the_filter_does() {
    use super::prover::ProverConfig;

    let config = r#"{"allow": {"hosts": ["*.demo", "[::1]"], "paths": ["/a"]}}"#;
    let allow = ProverConfig::parse(config.as_bytes()).unwrap().allow;
    for (authority, path, admitted) in [
        ("service.demo", "/a", true),
        ("SERVICE.demo.:8443", "/a/b?c", true),
        ("[::1]:8443", "/x/../a", true),
        ("service.demo", "/%61", true),
        ("service.demo", "/ab", false),
        ("service.demo", "/a/../b", false),
        ("service.demo", "/a/%zz", false),
        ("demo", "/a", false),
        ("u@service.demo", "/a", false),
        ("", "/a", false),
        ("service.demo", "", false),
    ] {
        let found = allow.admit(authority.as_bytes(), path.as_bytes());
        assert_eq!(found, admitted, "{authority} {path}");
    }
}

#[test]
fn a_bundle_for_all_and_one_for_each_trust_domain_exclude_each_other() {
    let with = |peer: &str| MINIMAL.replace(r#""ca": "a""#, peer);
    let domains = r#""trust_domains": {"a.demo": "a", "b.demo": "b"}"#;
    let parsed = Config::parse(with(domains).as_bytes(), Direction::Downstream).unwrap();
    assert_eq!(parsed.peer.bundles.len(), 2);
    for (peer, expected) in [
        (
            format!(r#""ca": "a", {domains}"#),
            "peer.ca: excludes `trust_domains`",
        ),
        (
            r#""trust_domains": {}"#.to_owned(),
            "peer.trust_domains: at least one is needed",
        ),
        (
            r#""trust_domains": {"A.demo": "a"}"#.to_owned(),
            "peer.trust_domains.A.demo: is no name",
        ),
        (
            r#""trust_domains": {"spiffe://a": "a"}"#.to_owned(),
            "is no name of a trust domain",
        ),
        (
            r#""trust_domains": {"a.demo": 1}"#.to_owned(),
            "peer.trust_domains.a.demo: expected",
        ),
        (
            r#""trust_domains": "a""#.to_owned(),
            "peer.trust_domains: expected an object",
        ),
        (
            format!(r#"{domains}, "allow": {{"spiffe_ids": ["spiffe://c.demo/x"]}}"#),
            "peer.allow.spiffe_ids: `spiffe://c.demo/x` is of a domain that `trust_domains` does not have",
        ),
    ] {
        let found = mistakes(&with(&peer), Direction::Downstream);
        assert!(found.contains(expected), "{peer}: {found}");
    }
}

#[test]
fn a_pattern_that_no_certificate_can_match_is_refused() {
    for (list, entry) in [
        ("spiffe_ids", "spiffe://demo"),
        ("spiffe_ids", "spiffe://Demo/a"),
        ("spiffe_ids", "spiffe://demo/a,b"),
        ("dns_names", "a.demo,b.demo"),
        ("dns_names", ""),
    ] {
        let allow = format!(r#""ca": "a", "allow": {{"{list}": ["{entry}"]}}"#);
        let json = MINIMAL.replace(r#""ca": "a""#, &allow);
        let found = mistakes(&json, Direction::Downstream);
        assert!(
            found.contains(&format!("peer.allow.{list}: `{entry}`")),
            "{found}"
        );
    }
}
