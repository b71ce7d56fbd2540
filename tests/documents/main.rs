//! The documents' tables say what the code does.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

mod arrows;
mod configuration;
mod crates;
mod figures;
mod names;

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use tls_session_binding::challenge::{Challenge, ChallengeRules, ErrorDescription};
use tls_session_binding::error::{ClientFault, HostFault, Refusal};

const BEGIN: &str = "<!-- reasons: compared with the code by tests/documents -->\n";
const END: &str = "<!-- end of reasons -->";

/// Run with `UPDATE_DOCUMENTS=1` to write the table.
#[test]
fn the_table_of_answers_is_that_of_the_code() {
    let reference = read("docs/reference.md");
    let (before, rest) = reference.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(
            path("docs/reference.md"),
            [before, BEGIN, &reasons(), END, after].concat(),
        )
        .unwrap();
    } else {
        assert_eq!(written, reasons(), "UPDATE_DOCUMENTS=1 writes it");
    }
}

#[test]
fn every_requirement_names_a_test_that_exists() {
    let protocol = read("docs/protocol.md");
    let rows: Vec<[&str; 3]> = table(&protocol, "## Conformance");
    let ids: BTreeSet<&str> = rows.iter().map(|[id, ..]| *id).collect();
    let expected =
        "EKM-1 EKM-2 EKM-3 EKM-4 EKM-5 V-a V-b V-c V-d V-e V-f V-g V-h V-i T1 T2 T3 T4 T5";
    assert_eq!(ids, expected.split(' ').collect());
    let tests = sources(&path("."));
    for [id, _, test] in rows {
        let function = format!("fn {}(", test.trim_matches('`'));
        assert!(tests.contains(&function), "{id}: {test} is no test");
    }
}

#[test]
fn every_row_of_the_threat_model_names_a_test_that_exists() {
    let model = read("docs/threat-model.md");
    let rows: Vec<[&str; 5]> = table(&model, "# Threat model");
    assert!(rows.len() > 20);
    let tests = sources(&path("."));
    for [place, threat, _, test, _] in rows {
        let function = format!(" {}(", test.trim_matches('`'));
        assert!(
            tests.contains(&function),
            "{place}, {threat}: {test} is no test"
        );
    }
}

fn reasons() -> String {
    let client = ClientFault::ALL.iter().copied().map(Refusal::Client);
    let host = HostFault::ALL.iter().copied().map(Refusal::Host);
    client.chain(host).map(row).collect()
}

fn row(refusal: Refusal) -> String {
    let rules = ChallengeRules {
        error_description: ErrorDescription::Full,
        realm: None,
        resource_metadata: None,
    };
    let full = Challenge::new(refusal, &rules);
    let parameter = |name: &str| {
        let challenge = full.www_authenticate.as_deref()?;
        let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
        rest.split('"').next()
    };
    let code = match parameter("error") {
        _ if full.status != 401 => full.status.to_string(),
        None => "401, no code".to_owned(),
        Some(code) => format!("401 `{code}`"),
    };
    let mend = parameter("mend").map_or(String::new(), |mend| format!("`{mend}`"));
    format!(
        "| {code} | {mend} | `{}` | {} |\n",
        refusal.reason(),
        full.body
    )
}

/// The rows of the table under a heading, without its head.
fn table<'a, const COLUMNS: usize>(document: &'a str, heading: &str) -> Vec<[&'a str; COLUMNS]> {
    let (_, section) = document.split_once(heading).unwrap();
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    let cells = |row: &'a str| {
        let cells: Vec<&str> = row
            .trim_matches('|')
            .splitn(COLUMNS, " | ")
            .map(str::trim)
            .collect();
        cells.try_into().unwrap_or_else(|_| panic!("{row}"))
    };
    rows.skip(2).map(cells).collect()
}

/// All sources in Rust and Python, one behind the other.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            text += &sources(&path);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "py")
        {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
