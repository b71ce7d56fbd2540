//! `panic-sites FILTER`: prints where a filter with names can panic, a site a line.

use std::process::ExitCode;

use tls_session_binding_wasm_tests::{Result, panics};

fn main() -> ExitCode {
    match print() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print() -> Result<()> {
    let path = std::env::args().nth(1).ok_or("usage: panic-sites FILTER")?;
    let filter = std::fs::read(path)?;
    for (site, lines) in panics::sites(&filter)? {
        println!("{}\t{}\t{lines:?}", site.origin, site.panic);
    }
    Ok(())
}
