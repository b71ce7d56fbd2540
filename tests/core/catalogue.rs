//! The attack catalogue: every row is tried where it is decided, and ends as it should.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;
use tls_session_binding::error::Refusal;

use crate::common::files;
use crate::common::judge::Outcome;
use crate::run::{ATTACKS, Judged};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    #[serde(rename = "about")]
    _about: String,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(rename = "row")]
    id: String,
    attack: String,
    expected: String,
    /// Whether it is tried on the core alone.
    core: bool,
    /// What was chosen where the specifications leave it open, and why.
    #[serde(default)]
    choice: Option<String>,
    /// Tests beside the vectors, as `path::function`.
    #[serde(default)]
    tests: Vec<String>,
}

impl Row {
    fn core_tests(&self) -> usize {
        let of_core = |test: &&String| test.starts_with("tests/core/") || test.starts_with("src/");
        self.tests.iter().filter(of_core).count()
    }
}

fn rows() -> Vec<Row> {
    files::read_json::<Catalogue>("attack-rows.json").rows
}

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
fn every_row_of_the_catalogue_that_the_core_decides_is_tried_on_it() {
    let cases = cases_by_row();
    for row in rows() {
        let count = cases.get(row.id.as_str()).map_or(0, BTreeMap::len);
        println!("{:4} {count:3} cases, {} tests", row.id, row.tests.len());
        assert_eq!(
            row.core,
            count + row.core_tests() > 0,
            "{}: {}",
            row.id,
            row.attack
        );
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
    assert!(
        failures.is_empty(),
        "{}",
        failures.join(
            "
"
        )
    );
}

#[test]
fn a_choice_is_told_where_there_is_one() {
    for row in rows() {
        assert_eq!(row.expected == "choice", row.choice.is_some(), "{}", row.id);
    }
}

#[test]
fn every_test_that_the_catalogue_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for row in rows() {
        for test in &row.tests {
            let (path, function) = test.split_once("::").unwrap();
            let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
            assert!(
                text.contains(&format!("fn {function}(")),
                "{}: no {test}",
                row.id
            );
        }
    }
}

/// S18: the values that an attacker may try to guess byte by byte have no other comparison.
#[test]
fn secrets_are_compared_in_constant_time() {
    let secrets = [
        ("exporter", "ExporterValue"),
        ("access_token", "AccessTokenHash"),
        ("certificate", "CertificateThumbprint"),
    ];
    for (module, name) in secrets {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/{module}.rs"));
        let text = std::fs::read_to_string(path).unwrap();
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

#[test]
fn the_matrix_of_attacks_is_up_to_date() {
    let cases = cases_by_row();
    let mut text = String::from(
        "# Attacks and where they are tried\n\n\
         Made from `tests/vectors/attack-rows.json` by \
         `UPDATE_VECTORS=1 cargo test --test core matrix`.\n\n\
         | row | attack | expected | cases on the core | tests of the core | other tests |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in rows() {
        let count = cases.get(row.id.as_str()).map_or(0, BTreeMap::len);
        let expected = row.choice.as_ref().unwrap_or(&row.expected);
        let (core, all) = (row.core_tests(), row.tests.len());
        let attack = row.attack.replace('|', "\\|");
        let others = all - core;
        writeln!(
            text,
            "| {} | {attack} | {expected} | {count} | {core} | {others} |",
            row.id
        )
        .unwrap();
    }
    let path = files::path("../attack-matrix.md");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == text,
        "attack-matrix.md is out of date: run with UPDATE_VECTORS=1"
    );
}
