//! The table of attacks by the level at which they are tried.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::common::sendable::obstacle;
use crate::common::{files, recipe};

use super::rows::{Level, Row, rows};
use super::{cases_by_row, neighbours, transferred};

const HEAD: &str = "# Attacks and where they are tried

Made from `tests/vectors/attack-rows.json` by `UPDATE_VECTORS=1 cargo test --test core matrix`.

Cases are data in `tests/vectors/attacks`, run through the core and, where an HTTP request can hold them, through the
linked filter in a real Envoy (`tests/wasm/tests/catalogue`). The other columns count named tests: of the core natively,
of the filter as linked for Wasm (`tests/wasm`), of a real Envoy with module and filter (`tests/e2e`, `tests/soak`), and
of the module's sockets and the client without an Envoy.

| row | attack | expected | core: cases | core: tests | Wasm: cases | Wasm: tests | Envoy | module, client |
|---|---|---|---|---|---|---|---|---|
";

#[test]
fn the_matrix_of_attacks_is_up_to_date() {
    let cases = cases_by_row();
    let mut text = String::from(HEAD);
    let sent = sent();
    let mut sum = [0; 6];
    for row in rows() {
        let of_row = cases.get(row.id.as_str());
        let count = of_row.map_or(0, BTreeMap::len);
        let linked = of_row.map_or(0, |cases| {
            cases.keys().filter(|id| sent.contains(**id)).count()
        });
        let [core, wasm, envoy, module] = Level::ALL.map(|level| row.tests_at(level));
        let counts = [count, core, linked, wasm, envoy, module];
        sum = std::array::from_fn(|at| sum[at] + counts[at]);
        let attack = row.attack.replace('|', "\\|");
        let expected = expected(&row);
        writeln!(
            text,
            "| {} | {attack} | {expected} | {} |",
            row.id,
            cells(counts)
        )
        .unwrap();
    }
    writeln!(text, "| {} rows | | | {} |", rows().len(), cells(sum)).unwrap();
    text.push_str(&transferred::table());
    text.push_str(&neighbours::table());
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

/// The cases that are put to the linked filter too.
fn sent() -> BTreeSet<String> {
    let cases = recipe::cases("attacks");
    let sent = cases.into_iter().filter(|case| obstacle(case).is_none());
    sent.map(|case| case.id).collect()
}

fn expected(row: &Row) -> String {
    let expected = row.choice.as_ref().unwrap_or(&row.expected);
    match row
        .documented
        .as_ref()
        .and_then(|words| words.split_once(": "))
    {
        Some((file, _)) => format!("{expected} ({file})"),
        None => expected.clone(),
    }
}

/// Nothing rather than 0, so that gaps are seen.
fn cells(counts: [usize; 6]) -> String {
    let cells = counts.map(|count| match count {
        0 => String::new(),
        count => count.to_string(),
    });
    cells.join(" | ")
}
