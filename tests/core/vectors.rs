//! The vectors of the protocol's rules: each ends as it says, and every refusal is what it should be.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use tls_session_binding::base64url;
use tls_session_binding::challenge::Challenge;

use crate::common::files;
use crate::common::judge::{Outcome, Situation};
use crate::common::recipe;
use crate::run::{ATTACKS, Judged, RULES, all_reasons, assert_met};

fn all() -> impl Iterator<Item = &'static Judged> {
    RULES.iter().chain(ATTACKS.iter())
}

#[test]
fn every_rule_decides_as_its_vectors_say() {
    assert_met(&RULES);
}

#[test]
fn every_attack_ends_as_its_vectors_say() {
    assert_met(&ATTACKS);
}

#[test]
fn every_case_has_an_id_of_its_own() {
    let mut seen = BTreeSet::new();
    for case in ["rules", "attacks"].into_iter().flat_map(recipe::cases) {
        assert!(seen.insert(case.id.clone()), "{} twice", case.id);
    }
}

/// Reasons that only the filter can give: they are about what a host that works does not withhold.
const FILTER_ONLY: [&str; 1] = ["request_unreadable"];

#[test]
fn every_reason_for_a_refusal_has_a_vector_of_its_rule() {
    let covered: BTreeSet<&str> = RULES.iter().map(|case| case.outcome.reason()).collect();
    let missing: Vec<&str> = all_reasons()
        .into_iter()
        .filter(|reason| !covered.contains(reason))
        .collect();
    assert_eq!(missing, FILTER_ONLY);
}

/// How a reason is answered, written down independently of the code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u32,
    error: Option<String>,
}

fn answers() -> BTreeMap<String, Answer> {
    files::read_json("reasons.json")
}

#[test]
fn every_reason_is_in_the_table_of_answers_and_nothing_else_is() {
    let table = answers();
    let listed: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    assert_eq!(listed, all_reasons().into_iter().collect());
}

#[test]
fn every_refusal_is_answered_as_the_table_says() {
    let table = answers();
    for case in all() {
        let Outcome::Refused(refusal, challenge) = &case.outcome else {
            continue;
        };
        let answer = &table[refusal.reason()];
        assert_eq!(challenge.status, answer.status, "{}", case.id);
        let expected = (answer.status == 401).then(|| match &answer.error {
            Some(error) => format!("Bearer error=\"{error}\""),
            None => "Bearer realm=\"session-binding\"".to_owned(),
        });
        let actual = challenge.www_authenticate.as_deref();
        let code = actual.map(|text| text.split(", mend=").next().unwrap_or_default());
        assert_eq!(code, expected.as_deref(), "{}", case.id);
    }
}

#[test]
fn the_answer_depends_on_the_reason_and_on_nothing_that_was_sent() {
    let mut answers: HashMap<(&str, bool), &Challenge> = HashMap::new();
    for case in all() {
        if let Outcome::Refused(refusal, challenge) = &case.outcome {
            let terse = case
                .situation
                .config
                .ends_with(b"\"error_description\":\"code\"}");
            let first = answers
                .entry((refusal.reason(), terse))
                .or_insert(challenge);
            assert_eq!(*first, challenge, "{}", case.id);
        }
    }
}

/// Long enough not to occur by chance, short enough to find a part of a secret.
const WINDOW: usize = 12;

#[test]
fn no_answer_shows_what_was_sent() {
    for case in all() {
        let Outcome::Refused(_, challenge) = &case.outcome else {
            continue;
        };
        let header = challenge.www_authenticate.as_deref().unwrap_or_default();
        let answer = format!("{header}\n{}", challenge.body);
        let shown: BTreeSet<&[u8]> = answer.as_bytes().windows(WINDOW).collect();
        for sent in sent_bytes(&case.situation) {
            let echoed = sent.windows(WINDOW).find(|window| shown.contains(window));
            assert_eq!(echoed, None, "{}", case.id);
        }
    }
}

/// What a request and its connection consist of, encoded and, where it is a JWS, decoded.
fn sent_bytes(situation: &Situation) -> Vec<Vec<u8>> {
    let mut sent = vec![
        situation.exporter.clone(),
        situation.certificate.clone(),
        situation.path.clone(),
    ];
    sent.extend(situation.authorization.iter().cloned());
    sent.extend(situation.proof.iter().cloned());
    let parts = sent
        .iter()
        .flat_map(|value| value.split(|&byte| byte == b'.'));
    let decoded: Vec<Vec<u8>> = parts
        .filter_map(|part| base64url::decode(part).ok())
        .collect();
    [sent, decoded].concat()
}

#[test]
fn a_refusal_that_needs_no_signature_verification_costs_none() {
    let after_signature = [
        "proof_signature_invalid",
        "proof_replayed",
        "replay_memory_full",
        "replay_memory_unusable",
    ];
    for case in all() {
        let reason = case.outcome.reason();
        let most = usize::from(case.outcome.is_accepted() || after_signature.contains(&reason));
        assert!(
            case.signatures <= most,
            "{}: {} for {reason}",
            case.id,
            case.signatures
        );
        if reason == "session_bound" && case.alone {
            assert_eq!(case.signatures, 1, "{}", case.id);
        }
    }
}
