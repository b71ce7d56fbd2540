//! The rules of a configuration.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::section::Section;
use crate::algorithm::{Algorithm, AlgorithmSet};
use crate::limits::MAX_RULE_NAME_BYTES;
use crate::pattern::{HostPattern, PathPattern};
use crate::policy::{Matcher, Policy};
use crate::rule::{Mode, ProofRules, RequiredClaims, Rule, WithoutToken};

pub(super) fn read_policy(root: &mut Section<'_>) -> Policy {
    let (mode, without_token) = read_binding(root);
    let default = Rule {
        number: 0,
        proof_number: 0,
        name: "default".to_owned(),
        mode: root.value("mode", mode),
        without_token: root.value("without_token", without_token),
        proof: ProofRules {
            algorithms: read_algorithms(root),
            max_proof_age: root.seconds("max_proof_age", 300),
            clock_tolerance: root.seconds("clock_tolerance", 30),
            required_claims: read_required_claims(root, RequiredClaims::default()),
        },
    };
    let rules = root.sections("rules").into_iter().zip(1..);
    let rules = rules
        .map(|(section, number)| read_rule(root, section, number, &default))
        .collect();
    let mut policy = Policy { default, rules };
    number_proof_rules(&mut policy);
    refuse_same_names(root, &policy);
    policy
}

/// `binding` says mode and treatment of requests without token in one word.
fn read_binding(root: &mut Section<'_>) -> (Mode, WithoutToken) {
    #[derive(Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Binding {
        IfConfirmed,
        Required,
    }
    let given = root.members.contains_key("binding");
    if given
        && ["mode", "without_token"]
            .iter()
            .any(|key| root.members.contains_key(*key))
    {
        root.mistake("binding", "stands for mode and without_token: give either");
    }
    match root.value("binding", Binding::IfConfirmed) {
        Binding::IfConfirmed => (Mode::EnforceIfBound, WithoutToken::Pass),
        Binding::Required => (Mode::Enforce, WithoutToken::Refuse),
    }
}

/// A rule takes from the default one what it does not say.
fn read_rule(
    root: &mut Section<'_>,
    (path, members): (String, Map<String, Value>),
    number: u16,
    default: &Rule,
) -> (Matcher, Rule) {
    let mut section = Section {
        path,
        members,
        mistakes: root.mistakes,
    };
    let matcher = Matcher {
        host: section.value("host", None::<HostPattern>),
        path: section.value("path", None::<PathPattern>),
        methods: read_methods(&mut section),
    };
    let rule = Rule {
        number,
        proof_number: number,
        name: read_name(&mut section),
        mode: section.value("mode", default.mode),
        without_token: section.value("without_token", default.without_token),
        proof: ProofRules {
            max_proof_age: section.seconds("max_proof_age", default.proof.max_proof_age),
            required_claims: read_required_claims(&mut section, default.proof.required_claims),
            ..default.proof
        },
    };
    section.finish();
    (matcher, rule)
}

/// Methods are case-sensitive and all of them in capitals (RFC 9110 section 9.1): others would match nothing.
fn read_methods(section: &mut Section<'_>) -> Vec<String> {
    let methods: Vec<String> = section.value("methods", Vec::new());
    let legal =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let is_one = |method: &String| !method.is_empty() && method.bytes().all(legal);
    if !methods.iter().all(is_one) {
        section.mistake("methods", "must be methods such as \"GET\", in capitals");
    }
    methods
}

/// Rules with equal rules for proofs share what was verified.
fn number_proof_rules(policy: &mut Policy) {
    let all: Vec<(u16, ProofRules)> = policy.all().map(|rule| (rule.number, rule.proof)).collect();
    for (_, rule) in &mut policy.rules {
        let same = all.iter().find(|(_, proof)| *proof == rule.proof);
        rule.proof_number = same.map_or(rule.number, |(number, _)| *number);
    }
}

/// Names become parts of metric names.
fn read_name(section: &mut Section<'_>) -> String {
    let name: String = section.value("name", String::new());
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > MAX_RULE_NAME_BYTES || !name.bytes().all(legal) {
        section.mistake("name", "must be given, of a-z, 0-9 and _");
    }
    name
}

fn refuse_same_names(root: &mut Section<'_>, policy: &Policy) {
    let names: Vec<&str> = policy.all().map(|rule| rule.name.as_str()).collect();
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|earlier| earlier == name) {
            root.mistake("rules", &format!("the name {name} stands twice"));
        }
    }
}

fn read_required_claims(section: &mut Section<'_>, default: RequiredClaims) -> RequiredClaims {
    #[derive(Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Claim {
        Htm,
        Htu,
        Jti,
    }
    let claims: Option<Vec<Claim>> = section.value("required_claims", None);
    let Some(claims) = claims else {
        return default;
    };
    RequiredClaims {
        method: claims.contains(&Claim::Htm),
        target_uri: claims.contains(&Claim::Htu),
        jti: claims.contains(&Claim::Jti),
    }
}

fn read_algorithms(root: &mut Section<'_>) -> AlgorithmSet {
    let algorithms: Vec<Algorithm> = root.value("algorithms", Algorithm::ALL.to_vec());
    if algorithms.is_empty() {
        root.mistake("algorithms", "must name at least one algorithm");
    }
    AlgorithmSet::of(&algorithms)
}
