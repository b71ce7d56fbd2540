//! `bench` measures everything and writes the figures; `scale` looks at Envoy's memory alone, `sidecars` at both
//! sidecars alone, `dead-cluster` at what a cluster without answer costs another one.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use tls_session_binding_bench::bootstrap::OURS;
use tls_session_binding_bench::proxy::{Credentials, Proxy};
use tls_session_binding_bench::report::figures::Measured;
use tls_session_binding_bench::report::{plot, tables, write};
use tls_session_binding_bench::scale::{Look, Purging, hold, pass_through};
use tls_session_binding_bench::sidecars::dead;
use tls_session_binding_bench::{configure, filters, sidecars, tls};
use tls_session_binding_e2e::{Result, root};

/// Uses of a token in the plot.
const USES: [usize; 9] = [1, 2, 3, 5, 10, 30, 100, 300, 1000];

/// Connections after which Envoy's memory is looked at.
const STOPS: [usize; 2] = [10_000, 100_000];

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    let done = match command.as_deref() {
        Some("bench") => bench(),
        Some("scale") => scale(),
        Some("sidecars") => both_sidecars(),
        Some("dead-cluster") => dead_cluster(),
        _ => Err("usage: tls-session-binding-bench bench|scale|sidecars|dead-cluster".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    let credentials = Credentials::make()?;
    let measured = measure(&credentials)?;
    let tables = tables::all(&measured);
    let per_request = filters::overhead(&measured.filters, "per_request", "none");
    write("results.json", &measured.json())?;
    write("table.md", &tables)?;
    write("cost.svg", &plot::svg(&measured.by_uses, per_request))?;
    println!("{tables}");
    Ok(())
}

fn measure(credentials: &Credentials) -> Result<Measured> {
    eprintln!("what filters add to a request ..");
    let proxy = Proxy::start(credentials, &filters::listeners(credentials))?;
    let filters = filters::measure(&proxy, credentials, 60)?;
    let by_uses = filters::by_uses(&proxy, credentials, &USES, 15)?;
    let latency = filters::latency(&proxy, credentials, 25)?;
    drop(proxy);
    eprintln!("TLS sockets ..");
    let proxy = Proxy::start(credentials, &tls::listeners(credentials))?;
    let sockets = tls::measure(&proxy, credentials, 30)?;
    drop(proxy);
    eprintln!("both sidecars ..");
    let sidecars = sidecars::measure(credentials, 30)?;
    eprintln!("a dead cluster beside a healthy one ..");
    let dead_cluster = dead::measure(credentials, 30)?;
    eprintln!("bringing up the filter ..");
    let configure = configure::measure(credentials, 7)?;
    eprintln!("memory after many connections ..");
    let memory = [
        pass_through(credentials, Purging::On, &STOPS)?,
        pass_through(credentials, Purging::Off, &STOPS)?,
    ];
    Ok(Measured {
        filters,
        by_uses,
        latency,
        sockets,
        sidecars,
        dead_cluster,
        configure,
        wasm_bytes: std::fs::metadata(root().join(OURS))?.len(),
        memory,
    })
}

fn both_sidecars() -> Result<()> {
    let measured = sidecars::measure(&Credentials::make()?, 30)?;
    println!("{}", tables::sidecars(&measured));
    Ok(())
}

fn dead_cluster() -> Result<()> {
    let measured = dead::measure(&Credentials::make()?, 10)?;
    for (name, median) in measured.medians() {
        println!("{name} {median:.2}");
    }
    println!("dead_cluster_tax {:.3}", measured.tax());
    Ok(())
}

fn scale() -> Result<()> {
    let credentials = Credentials::make()?;
    let mut report = Vec::new();
    for (title, purging) in [
        ("connections opened and closed, purging", Purging::On),
        ("connections opened and closed, not purging", Purging::Off),
    ] {
        eprintln!("{title} ..");
        let looks = pass_through(&credentials, purging, &STOPS)?;
        report.push(tables::looks(
            title,
            &named(&["before", "after 10,000", "after 100,000"], &looks),
        ));
    }
    eprintln!("connections held ..");
    let looks = hold(&credentials, 2000, 50)?;
    let title = "2,000 connections with 50 tokens each";
    report.push(tables::looks(
        title,
        &named(&["before", "all open", "all closed"], &looks),
    ));
    let report = report.join("\n");
    write("scale.md", &report)?;
    println!("{report}");
    Ok(())
}

fn named(names: &[&str], looks: &[Look]) -> Vec<(String, Look)> {
    names
        .iter()
        .map(ToString::to_string)
        .zip(looks.iter().copied())
        .collect()
}
