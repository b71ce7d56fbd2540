//! The rows of the catalogue, and where each is tried.

use std::path::Path;

use serde::Deserialize;

use crate::common::files;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    #[serde(rename = "about")]
    _about: String,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    #[serde(rename = "row")]
    pub(super) id: String,
    pub(super) attack: String,
    pub(super) expected: String,
    /// Whether it is tried on the core alone.
    pub(super) core: bool,
    /// What was chosen where the specifications leave it open, and why.
    #[serde(default)]
    pub(super) choice: Option<String>,
    /// Where a row that nothing can try is answered, as `file: words that stand there`.
    #[serde(default)]
    pub(super) documented: Option<String>,
    /// Tests beside the vectors, as `path::function`.
    #[serde(default)]
    pub(super) tests: Vec<String>,
}

impl Row {
    pub(super) fn tests_at(&self, level: Level) -> usize {
        let there = |test: &&String| Level::of(test) == level;
        self.tests.iter().filter(there).count()
    }
}

pub(super) fn rows() -> Vec<Row> {
    files::read_json::<Catalogue>("attack-rows.json").rows
}

/// What a test has in its hands, by its path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// The core, compiled for this machine.
    Core,
    /// The filter as linked for Wasm: looked at, tampered with, or its code run in a virtual machine.
    Wasm,
    /// A real Envoy with module and filter.
    Envoy,
    /// The module's sockets or the client, without an Envoy.
    Module,
}

impl Level {
    pub(super) const ALL: [Self; 4] = [Self::Core, Self::Wasm, Self::Envoy, Self::Module];

    fn of(test: &str) -> Self {
        const PLACES: [(&str, Level); 8] = [
            ("src/", Level::Core),
            ("tests/core/", Level::Core),
            ("tests/oracle/", Level::Core),
            ("tests/wasm/", Level::Wasm),
            ("tests/e2e/", Level::Envoy),
            ("tests/soak/", Level::Envoy),
            ("envoy/module/", Level::Module),
            ("client/", Level::Module),
        ];
        let place = PLACES.iter().find(|(path, _)| test.starts_with(path));
        place.unwrap_or_else(|| panic!("{test} is at no level")).1
    }
}

/// A file of the repository, empty if it is not there.
pub(super) fn source(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join(path)).unwrap_or_default()
}
