//! The table of crates names what cargo links into the filter.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;

use super::{path, read};

#[test]
fn every_crate_of_the_filter_stands_once_in_a_table_with_a_reason() {
    let security = read("SECURITY.md");
    let (_, rest) = security.split_once("<!-- crates: compared").unwrap();
    let (table, _) = rest.split_once("<!-- end of crates -->").unwrap();
    let rows = table.lines().filter_map(|row| row.split('|').nth(1));
    let named: Vec<&str> = rows
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let once: BTreeSet<String> = named.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(once.len(), named.len(), "a crate stands twice");
    assert_eq!(once, linked());
}

/// What cargo says; the filter itself excepted.
fn linked() -> BTreeSet<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(path("."))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--package",
            "tls-session-binding",
        ])
        .args([
            "--target",
            "wasm32-wasip1",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let tree = String::from_utf8(output.stdout).unwrap();
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let others = names.filter(|name| !name.is_empty() && *name != "tls-session-binding");
    others.map(str::to_owned).collect()
}
