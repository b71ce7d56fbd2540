use super::*;

#[test]
fn nothing_needs_to_be_configured() {
    let config = ProverConfig::parse(b"").unwrap();
    assert!(config.claims.is_empty());
    assert_eq!(config.without_token, Unproved::Pass);
    assert!(config.allow.admit(b"anything", b"/"));
}

#[test]
fn every_mistake_is_reported_at_once_with_its_path() {
    let json =
        br#"{"allow": {"hosts": ["a*"], "paths": ["x"]}, "claims": ["exp"], "max_wait": "0s",
        "proof_lifetime": "4m", "without_token": "drop", "more": 1}"#;
    let found = ProverConfig::parse(json).unwrap_err().to_string();
    for path in [
        "allow.hosts",
        "allow.paths",
        "claims",
        "max_wait",
        "proof_lifetime",
        "without_token",
        "more: unknown",
    ] {
        assert!(found.contains(path), "{path} is not in {found}");
    }
}

#[test]
fn a_route_configures_claims_only() {
    assert_eq!(
        Claims::parse(br#"{"claims": ["jti"]}"#).unwrap(),
        Claims {
            jti: true,
            ..Claims::default()
        }
    );
    assert!(Claims::parse(br#"{"max_wait": "1s"}"#).is_err());
}

#[test]
fn hosts_match_without_port_in_any_letter_case_and_below_a_star() {
    let json =
        br#"{"allow": {"hosts": ["service.demo", "*.mesh.demo", "[::1]"], "paths": ["/api/"]}}"#;
    let allow = ProverConfig::parse(json).unwrap().allow;
    for host in [
        "service.demo",
        "SERVICE.demo:443",
        "a.mesh.demo",
        "a.b.mesh.demo:1",
        "[::1]:443",
        "[::1]",
    ] {
        assert!(allow.admit(host.as_bytes(), b"/api/x"), "{host}");
    }
    for host in [
        "",
        "service.demo.evil",
        "evilservice.demo",
        "mesh.demo",
        ".mesh.demo",
        "evilmesh.demo",
        ":443",
    ] {
        assert!(!allow.admit(host.as_bytes(), b"/api/x"), "{host}");
    }
    assert!(!allow.admit(b"service.demo", b"/other"));
}
