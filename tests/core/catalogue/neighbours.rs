//! Resources of others in Istio, from the cases that `make mesh` applies to a running mesh.

use std::fmt::Write as _;

use crate::common::files;

const CASES: &str = "../deployment/istio/neighbours.yaml";

const HEAD: &str = "
## Resources of others in Istio

From `tests/deployment/istio/neighbours.yaml`: `make mesh` applies each to a running mesh, presents tokens of another
certificate in every place, and takes it away again. None of them may be answered 200.

| resource | a good request meanwhile |
|---|---|
";

pub(super) fn table() -> String {
    let text = std::fs::read_to_string(files::path(CASES)).unwrap();
    let mut table = String::from(HEAD);
    for case in text.split("\n- ").skip(1) {
        let name = value(case, "name: ");
        let good = match value(case, "good: ") {
            "200" => "200",
            "refused" => "refused",
            "any" => "either",
            other => panic!("{name}: {other}"),
        };
        writeln!(table, "| {name} | {good} |").unwrap();
    }
    table
}

/// What stands behind a key, up to the end of its line or to the next key of a flow mapping.
fn value<'a>(case: &'a str, key: &str) -> &'a str {
    let (_, rest) = case
        .split_once(key)
        .unwrap_or_else(|| panic!("{key} in {case}"));
    let line = rest.lines().next().unwrap_or_default();
    let ends = [", older:", ", good:", ", delete:", ", apply:", ", at:"];
    let end = ends.iter().filter_map(|end| line.find(end)).min();
    line[..end.unwrap_or(line.len())].trim()
}
