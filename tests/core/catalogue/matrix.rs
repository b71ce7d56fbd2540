//! The table of attacks by the level at which they are tried.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::common::files;

use super::rows::{Level, Row, rows};
use super::{cases_by_row, transferred};

const HEAD: &str = "# Attacks and where they are tried

Made from `tests/vectors/attack-rows.json` by `UPDATE_VECTORS=1 cargo test --test core matrix`.

Cases are data in `tests/vectors/attacks`, run through the core. The other columns count named tests: of the core
natively, of the filter's code as linked for Wasm (`tests/wasm`), of a real Envoy with module and filter (`tests/e2e`,
`tests/soak`), and of the module's sockets and the client without an Envoy.

| row | attack | expected | core: cases | core: tests | Wasm | Envoy | module, client |
|---|---|---|---|---|---|---|---|
";

#[test]
fn the_matrix_of_attacks_is_up_to_date() {
    let cases = cases_by_row();
    let mut text = String::from(HEAD);
    let mut sum = [0; 5];
    for row in rows() {
        let count = cases.get(row.id.as_str()).map_or(0, BTreeMap::len);
        let [core, wasm, envoy, module] = Level::ALL.map(|level| row.tests_at(level));
        let counts = [count, core, wasm, envoy, module];
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
fn cells(counts: [usize; 5]) -> String {
    let cells = counts.map(|count| match count {
        0 => String::new(),
        count => count.to_string(),
    });
    cells.join(" | ")
}
