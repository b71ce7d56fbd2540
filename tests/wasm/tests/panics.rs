//! The places where the linked filter can panic are known, each with its reason.

use std::collections::BTreeSet;

use tls_session_binding_wasm_tests::panics::{Site, sites};
use tls_session_binding_wasm_tests::{Error, Result};

const KNOWN: &str = include_str!("../panics.tsv");

/// The filter of the release with its names, built by `make traps`.
const NAMED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../target/wasm-named/wasm32-wasip1/release/tls_session_binding.wasm"
);

#[test]
#[ignore = "needs the filter with names: make traps"]
fn every_place_that_can_panic_is_known_with_a_reason() -> Result<()> {
    let filter =
        std::fs::read(NAMED).map_err(|error| format!("{NAMED}: {error}: run make traps"))?;
    let found: BTreeSet<Site> = sites(&filter)?.into_keys().collect();
    let known = known()?;
    let unknown: Vec<_> = found.difference(&known).collect();
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(
        unknown.is_empty() && gone.is_empty(),
        "without a reason: {unknown:#?}, gone: {gone:#?}"
    );
    Ok(())
}

fn known() -> Result<BTreeSet<Site>> {
    let rows = KNOWN.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| match row.split('\t').collect::<Vec<_>>()[..] {
        [origin, panic, reason] if !reason.is_empty() => Ok(Site {
            origin: origin.to_owned(),
            panic: panic.to_owned(),
        }),
        _ => Err(Error::from(format!("not three columns: {row}"))),
    })
    .collect()
}
