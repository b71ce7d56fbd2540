//! The steps of another suite, each tried by cases of this one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::common::files;
use crate::common::judge::Outcome;
use crate::run::{ATTACKS, Judged, RULES};

use super::rows::source;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transferred {
    #[serde(rename = "about")]
    _about: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(rename = "step")]
    what: String,
    expected: Expected,
    #[serde(default)]
    cases: Vec<String>,
    #[serde(default)]
    tests: Vec<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Accept,
    Refuse,
}

fn steps() -> Vec<Step> {
    files::read_json::<Transferred>("transferred.json").steps
}

#[test]
fn every_step_of_the_other_suite_ends_as_it_wants() {
    let last: BTreeMap<&str, &Judged> = RULES
        .iter()
        .chain(ATTACKS.iter())
        .map(|case| (case.id.as_str(), case))
        .collect();
    let steps = steps();
    assert_eq!(steps.len(), 32);
    for Step {
        what: step,
        expected,
        cases,
        tests,
    } in steps
    {
        assert!(
            !cases.is_empty() || !tests.is_empty(),
            "{step} is not tried"
        );
        for id in cases {
            let case = last
                .get(id.as_str())
                .unwrap_or_else(|| panic!("no case {id}"));
            let fits = match expected {
                Expected::Accept => case.outcome == Outcome::Accepted("session_bound"),
                Expected::Refuse => matches!(case.outcome, Outcome::Refused(..)),
            };
            assert!(fits, "{step}: {id} ends with {}", case.outcome.reason());
        }
        for test in tests {
            let (path, function) = test.split_once("::").unwrap();
            assert!(
                source(path).contains(&format!("fn {function}(")),
                "no {test}"
            );
        }
    }
}

const HEAD: &str = "
## The steps of the OpenID suite's DPoP tests

From `tests/vectors/transferred.json`: what the suite tries with a DPoP proof, tried with the proof of this protocol.

| step | expected | tried by |
|---|---|---|
";

pub(super) fn table() -> String {
    let mut text = String::from(HEAD);
    for Step {
        what: step,
        expected,
        cases,
        tests,
    } in steps()
    {
        let expected = match expected {
            Expected::Accept => "accept",
            Expected::Refuse => "refuse",
        };
        let tests = tests.iter().filter_map(|test| test.split("::").last());
        let all: Vec<String> = cases
            .iter()
            .map(String::as_str)
            .chain(tests)
            .map(|name| format!("`{name}`"))
            .collect();
        writeln!(text, "| {step} | {expected} | {} |", all.join(", ")).unwrap();
    }
    text
}
