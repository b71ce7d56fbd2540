//! Measures.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use tls_session_binding_bench::{filters, proxy, statistics};
use tls_session_binding_e2e::Result;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let credentials = proxy::Credentials::make()?;
    let proxy = proxy::Proxy::start(&credentials, &filters::listeners(&credentials))?;
    let times = filters::measure(&proxy, &credentials, 40)?;
    for (name, samples) in &times {
        println!(
            "{name:12} {:8.2} {:8.2}",
            statistics::median(samples),
            filters::overhead(&times, name, "none")
        );
    }
    for (uses, cost) in
        filters::by_uses(&proxy, &credentials, &[1, 2, 3, 5, 10, 30, 100, 1000], 10)?
    {
        println!("{uses:5} {cost:8.2}");
    }
    Ok(())
}
