//! The filter's configuration: what is accepted, and that every mistake is named by its path.

use std::collections::BTreeSet;

use serde::Deserialize;
use tls_session_binding::algorithm::{Algorithm, AlgorithmSet};
use tls_session_binding::cache::CacheLimits;
use tls_session_binding::certificate::CertificateEncoding;
use tls_session_binding::challenge::{ChallengeRules, ErrorDescription};
use tls_session_binding::config::{Config, ConfirmationSource, Role, Source};
use tls_session_binding::elsewhere::TokensElsewhere;
use tls_session_binding::exporter::ExporterEncoding;
use tls_session_binding::limits::{MAX_CONFIG_BYTES, MAX_RULE_NAME_BYTES, MAX_RULES};
use tls_session_binding::policy::Policy;
use tls_session_binding::rule::{Mode, ProofRules, RequiredClaims, Rule, WithoutToken};
use tls_session_binding::target_uri::ClientAuthorities;

use crate::common::files;
use crate::common::judge::mistaken_keys;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: String,
    accepted: Vec<Sample>,
    refused: Vec<Sample>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    id: String,
    text: String,
    #[serde(default)]
    mistakes: BTreeSet<String>,
}

fn file() -> File {
    files::read_json("config.json")
}

fn defaults() -> Config {
    let path = |name: &str| vec!["filter_state".to_owned(), name.to_owned()];
    Config {
        role: Role::Verify,
        exporter: Source {
            property: path("tls_session_binding.exporter"),
            encoding: ExporterEncoding::Base64url,
        },
        client_certificate: Source {
            property: path("tls_session_binding.client_certificate"),
            encoding: CertificateEncoding::Base64Der,
        },
        confirmation: ConfirmationSource::Token,
        tokens_elsewhere: TokensElsewhere::default(),
        policy: Policy {
            default: Rule {
                number: 0,
                proof_number: 0,
                name: "default".to_owned(),
                mode: Mode::EnforceIfBound,
                without_token: WithoutToken::Pass,
                proof: ProofRules {
                    algorithms: AlgorithmSet::all(),
                    max_proof_age: 300,
                    clock_tolerance: 30,
                    required_claims: RequiredClaims::default(),
                },
            },
            rules: Vec::new(),
        },
        cache: CacheLimits {
            connections: 10_000,
            tokens_per_connection: 64,
            max_binding_age: None,
        },
        verified_header: None,
        challenge: ChallengeRules {
            error_description: ErrorDescription::Full,
            realm: None,
            resource_metadata: None,
        },
        client_authority: ClientAuthorities::default(),
        max_access_token_bytes: 61_440,
    }
}

#[test]
fn a_key_that_is_missing_takes_its_default() {
    for Sample { id, text, .. } in file().accepted {
        assert_eq!(
            Config::parse(text.as_bytes()).as_ref(),
            Ok(&defaults()),
            "{id}"
        );
    }
}

#[test]
fn every_mistake_is_named_by_its_path_and_nothing_else_is() {
    for Sample { id, text, mistakes } in file().refused {
        match Config::parse(text.as_bytes()) {
            Ok(config) => panic!("{id}: accepted as {config:?}"),
            Err(named) => assert_eq!(mistaken_keys(&named.to_string()), mistakes, "{id}: {named}"),
        }
    }
}

#[test]
fn every_value_of_every_key_is_taken_as_written() {
    let text = r#"{
        "role": "purge",
        "exporter": {"property": ["metadata", "a", "b"], "encoding": "hex"},
        "client_certificate": {"property": ["connection", "peer_certificate"], "encoding": "pem"},
        "confirmation": {"property": ["metadata", "filter_metadata", "jwt", "payload"]},
        "binding": "required", "algorithms": ["PS256", "ES384"],
        "max_proof_age": "86400s", "clock_tolerance": "0s", "error_description": "code",
        "realm": "shop", "client_authority": {"api.example": "api.example:8443"}, "max_access_token_bytes": 8192, "resource_metadata": "https://shop.example/metadata",
        "cache": {"connections": 0, "tokens_per_connection": 1, "max_binding_age": "60s"},
        "verified_header": "x-session-2"
    }"#;
    let config = Config::parse(text.as_bytes()).unwrap();
    assert_eq!(config.role, Role::Purge);
    assert_eq!(config.exporter.property, ["metadata", "a", "b"]);
    assert_eq!(config.exporter.encoding, ExporterEncoding::Hex);
    assert_eq!(
        config.client_certificate.property,
        ["connection", "peer_certificate"]
    );
    assert_eq!(config.client_certificate.encoding, CertificateEncoding::Pem);
    let payload = ["metadata", "filter_metadata", "jwt", "payload"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(config.confirmation, ConfirmationSource::Property(payload));
    let rule = config.policy.default;
    assert_eq!(
        (rule.mode, rule.without_token),
        (Mode::Enforce, WithoutToken::Refuse)
    );
    let algorithms = AlgorithmSet::of(&[Algorithm::Ps256, Algorithm::Es384]);
    assert_eq!(rule.proof.algorithms, algorithms);
    assert_eq!(rule.proof.max_proof_age, 86_400);
    assert_eq!(rule.proof.clock_tolerance, 0);
    let challenge = ChallengeRules {
        error_description: ErrorDescription::Code,
        realm: Some("shop".into()),
        resource_metadata: Some("https://shop.example/metadata".into()),
    };
    assert_eq!(config.challenge, challenge);
    assert_eq!(config.max_access_token_bytes, 8192);
    assert_eq!(
        config.client_authority.of(b"api.example"),
        b"api.example:8443"
    );
    assert_eq!(config.verified_header.as_deref(), Some("x-session-2"));
    let cache = CacheLimits {
        connections: 0,
        tokens_per_connection: 1,
        max_binding_age: Some(60),
    };
    assert_eq!(config.cache, cache);
}

#[test]
fn a_configuration_has_a_greatest_length() {
    let padded = |length: usize| format!("{{}}{}", " ".repeat(length - 2));
    assert!(Config::parse(padded(MAX_CONFIG_BYTES).as_bytes()).is_ok());
    for length in [MAX_CONFIG_BYTES + 1, 1 << 20] {
        let refused = Config::parse(padded(length).as_bytes()).unwrap_err();
        assert_eq!(refused.to_string(), "the configuration is too long");
    }
}

#[test]
fn the_name_of_a_rule_and_the_number_of_rules_are_bounded_on_both_sides() {
    let named = |length: usize| format!(r#"{{"rules": [{{"name": "{}"}}]}}"#, "a".repeat(length));
    let many = |count: usize| {
        let rules: Vec<String> = (0..count)
            .map(|number| format!(r#"{{"name": "r{number}"}}"#))
            .collect();
        format!(r#"{{"rules": [{}]}}"#, rules.join(","))
    };
    let is_taken = |text: String| Config::parse(text.as_bytes()).is_ok();
    for length in [1, MAX_RULE_NAME_BYTES - 1, MAX_RULE_NAME_BYTES] {
        assert!(is_taken(named(length)), "{length}");
    }
    for length in [0, MAX_RULE_NAME_BYTES + 1, MAX_RULE_NAME_BYTES + 2] {
        assert!(!is_taken(named(length)), "{length}");
    }
    for count in [0, MAX_RULES - 1, MAX_RULES] {
        assert!(is_taken(many(count)), "{count}");
    }
    for count in [MAX_RULES + 1, MAX_RULES + 2] {
        assert!(!is_taken(many(count)), "{count}");
    }
}

#[test]
fn a_rule_takes_every_key_that_it_does_not_say_from_the_default() {
    let text = r#"{"mode": "enforce", "without_token": "refuse", "max_proof_age": "60s",
        "required_claims": ["htm", "jti"],
        "rules": [{"name": "same"}, {"name": "none", "required_claims": []},
            {"name": "other", "required_claims": ["htu"]}]}"#;
    let policy = Config::parse(text.as_bytes()).unwrap().policy;
    let rules: Vec<_> = policy.rules.iter().map(|(_, rule)| rule).collect();
    assert_eq!(rules[0].proof, policy.default.proof);
    assert_eq!(rules[0].mode, policy.default.mode);
    assert_eq!(rules[0].without_token, policy.default.without_token);
    let claims = |rule: &Rule| {
        let RequiredClaims {
            method,
            target_uri,
            jti,
        } = rule.proof.required_claims;
        [method, target_uri, jti]
    };
    assert_eq!(claims(rules[0]), [true, false, true]);
    assert_eq!(claims(rules[1]), [false; 3]);
    assert_eq!(claims(rules[2]), [false, true, false]);
}

#[test]
fn what_shared_memory_takes_at_worst_is_bounded_and_told() {
    let cache = |connections: usize, tokens: usize| {
        let text = format!(
            r#"{{"cache": {{"connections": {connections}, "tokens_per_connection": {tokens}}}}}"#
        );
        Config::parse(text.as_bytes())
    };
    // 1 GiB at 300 + 40 n bytes a connection.
    assert!(cache(1_000_000, 19).is_ok());
    assert!(cache(1_000_000, 20).is_err());
    assert!(cache(26_643, 1_000).is_ok());
    assert!(cache(26_644, 1_000).is_err());
    let told = cache(10_000, 64).unwrap().capacity();
    let expected = "at most 59 MiB of shared memory; 99 new jti a second on a connection";
    assert_eq!(told, expected);
}
