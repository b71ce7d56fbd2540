//! The places where the linked filter can panic are known, each with its reason.

use tls_session_binding_wasm_tests::panics::{Site, sites};
use tls_session_binding_wasm_tests::{Error, Result};

const KNOWN: &str = include_str!("../panics.tsv");

/// The filter of the release with its names, built by `make traps`.
const NAMED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../target/wasm-named/wasm32-wasip1/release/tls_session_binding.wasm"
);

/// A row of the list.
struct Known<'a> {
    origin: &'a str,
    panic: &'a str,
}

impl Known<'_> {
    fn explains(&self, site: &Site) -> bool {
        site.origin.starts_with(self.origin) && (self.panic == "*" || self.panic == site.panic)
    }
}

#[test]
#[ignore = "needs the filter with names: make traps"]
fn every_place_that_can_panic_is_known_with_a_reason() -> Result<()> {
    let filter =
        std::fs::read(NAMED).map_err(|error| format!("{NAMED}: {error}: run make traps"))?;
    let sites = sites(&filter)?;
    let known = known()?;
    let unknown: Vec<_> = sites
        .iter()
        .filter(|(site, _)| !known.iter().any(|row| row.explains(site)))
        .collect();
    assert!(unknown.is_empty(), "without a reason: {unknown:#?}");
    for row in known {
        let origin = row.origin;
        assert!(
            sites.keys().any(|site| row.explains(site)),
            "nothing is left of {origin}"
        );
    }
    Ok(())
}

fn known() -> Result<Vec<Known<'static>>> {
    let rows = KNOWN.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| match row.split('\t').collect::<Vec<_>>()[..] {
        [origin, panic, reason] if !reason.is_empty() => Ok(Known { origin, panic }),
        _ => Err(Error::from(format!("not three columns: {row}"))),
    })
    .collect()
}
