//! The attack catalogue: every row is tried where it is decided, and ends as it should.

mod matrix;
mod neighbours;
mod rows;
mod transferred;

use std::collections::{BTreeMap, BTreeSet};

use tls_session_binding::error::Refusal;

use crate::common::judge::Outcome;
use crate::common::recipe;
use crate::run::{ATTACKS, Judged};

use rows::{Level, rows, source};

/// The last request of every case, by row.
fn cases_by_row() -> BTreeMap<&'static str, BTreeMap<&'static str, &'static Judged>> {
    let mut rows: BTreeMap<&str, BTreeMap<&str, &Judged>> = BTreeMap::new();
    for case in ATTACKS.iter() {
        for row in &case.rows {
            rows.entry(row).or_default().insert(&case.id, case);
        }
    }
    rows
}

#[test]
fn every_row_of_the_catalogue_is_tried_or_answered_in_words() {
    let cases = cases_by_row();
    let mut untried = Vec::new();
    for row in rows() {
        let count = cases.get(row.id.as_str()).map_or(0, BTreeMap::len);
        let [core, wasm, envoy, module] = Level::ALL.map(|level| row.tests_at(level));
        println!(
            "{:4} core: {count} cases, {core} tests; Wasm: {wasm}; Envoy: {envoy}; module, client: {module}",
            row.id
        );
        if count + row.tests.len() == 0 && row.documented.is_none() {
            untried.push(row.id.clone());
        }
        assert_eq!(row.core, count + core > 0, "{}: {}", row.id, row.attack);
    }
    assert!(untried.is_empty(), "without case or test: {untried:?}");
}

#[test]
fn what_is_answered_in_words_has_these_words() {
    for row in rows() {
        let Some(documented) = row.documented else {
            continue;
        };
        let (file, words) = documented.split_once(": ").unwrap();
        let text = source(file).replace("\n  ", " ").replace('\n', " ");
        assert!(text.contains(words), "{}: {file} has no {words}", row.id);
    }
}

#[test]
fn every_case_of_an_attack_is_of_a_row_of_the_catalogue() {
    let rows = rows();
    let known: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(known.len(), rows.len(), "a row stands twice");
    for case in ATTACKS.iter() {
        assert!(!case.rows.is_empty(), "{}", case.id);
        assert!(
            case.rows.iter().all(|row| known.contains(row.as_str())),
            "{}",
            case.id
        );
    }
}

#[test]
fn no_case_is_skipped() {
    let judged: BTreeSet<&str> = ATTACKS.iter().map(|case| case.id.as_str()).collect();
    for case in recipe::cases("attacks") {
        assert!(judged.contains(case.id.as_str()), "{}", case.id);
    }
}

#[test]
fn every_case_ends_as_its_row_expects() {
    let cases = cases_by_row();
    let mut failures = Vec::new();
    for row in rows() {
        for (id, case) in cases.get(row.id.as_str()).into_iter().flatten() {
            let fits = match row.expected.as_str() {
                "accept" => case.outcome.is_accepted(),
                "refuse" => matches!(case.outcome, Outcome::Refused(Refusal::Client(_), _)),
                "host_fault" => matches!(case.outcome, Outcome::Refused(Refusal::Host(_), _)),
                "misconfigured" => matches!(case.outcome, Outcome::Misconfigured(_)),
                _ => true,
            };
            if !fits {
                failures.push(format!("{id}: {} expects {}", row.id, row.expected));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_choice_is_told_where_there_is_one() {
    for row in rows() {
        assert_eq!(row.expected == "choice", row.choice.is_some(), "{}", row.id);
    }
}

#[test]
fn every_test_that_the_catalogue_names_is_there_and_is_run() {
    let ci = source(".ci/run");
    for row in rows() {
        for test in &row.tests {
            let (path, function) = test.split_once("::").unwrap();
            let text = source(path);
            let Some((before, _)) = text.split_once(&format!("fn {function}(")) else {
                panic!("{}: no {test}", row.id);
            };
            let attributes = before.rsplit("\n\n").next().unwrap_or_default();
            if let Some((_, ignored)) = attributes.split_once("#[ignore") {
                let target = ignored.split_once("make ").map(|(_, target)| {
                    let end = |character: char| !character.is_alphanumeric() && character != '-';
                    target.split(end).next().unwrap_or_default()
                });
                let run = target.is_some_and(|target| ci.contains(&format!("make {target}")));
                assert!(run, "{}: {test} is skipped", row.id);
            }
        }
    }
}

/// S18: the values that an attacker may try to guess byte by byte have no other comparison.
#[test]
fn secrets_are_compared_in_constant_time() {
    let secrets = [
        ("exporter", "ExporterValue"),
        ("digest", "AccessTokenHash"),
        ("digest", "CertificateThumbprint"),
    ];
    for (module, name) in secrets {
        let text = source(&format!("src/{module}.rs"));
        let (_, comparison) = text
            .split_once(&format!("impl PartialEq for {name} "))
            .unwrap();
        let body: String = comparison.split_inclusive('\n').take(4).collect();
        assert!(
            body.contains("self.0.ct_eq(&other.0).into()"),
            "{name}: {body}"
        );
    }
}
