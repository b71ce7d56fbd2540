//! Tables in Markdown.

use std::fmt::Write as _;

use super::figures::{Figure, Goal, Measured};
use crate::filters::overhead;
use crate::latency::Latency;
use crate::scale::Look;
use crate::sidecars;
use crate::sidecars::chain::{Extra, WAYS};
use crate::statistics::median;

/// Rows of the table of filters: name of the measurement, and what it is.
const FILTERS: [(&str, &str); 14] = [
    ("none", "no filter"),
    ("empty", "a Wasm filter that does nothing"),
    ("reader", "a Wasm filter that reads what a hit reads"),
    ("jwt_cached", "`jwt_authn` with `jwt_cache_config`"),
    ("jwt", "`jwt_authn` without"),
    ("hit", "a hit"),
    ("hit_of_50", "a hit, 50 tokens in turn on the connection"),
    ("hit_purging", "a hit, with the network filter that purges"),
    ("first", "a first presentation"),
    ("per_request", "a proof for every request"),
    ("cache_off", "one proof, the cache off"),
    (
        "jwt_published",
        "`jwt_authn` with `jwt_cache_config` and `payload_in_metadata`",
    ),
    (
        "reader_property",
        "the same, and a Wasm filter that reads what a hit reads behind it",
    ),
    (
        "hit_property",
        "the same, and a hit with the claims that it published",
    ),
];

/// All tables of `make bench`.
#[must_use]
pub fn all(measured: &Measured) -> String {
    [
        figures(&measured.figures()),
        filters(measured),
        latency(&measured.latency),
        sockets(measured),
        sidecars(&measured.sidecars),
    ]
    .join("\n")
}

fn figures(figures: &[Figure]) -> String {
    let mut table = "| figure | what | measured | to reach | |\n|---|---|---|---|---|\n".to_owned();
    for figure in figures {
        let goal = match figure.goal {
            Goal::AtMost(limit) => format!("<= {limit}"),
            Goal::AtLeast(limit) => format!(">= {limit}"),
        };
        let reached = if figure.is_reached() {
            "reached"
        } else {
            "**missed**"
        };
        push_row(
            &mut table,
            &[
                &format!("`{}`", figure.key),
                figure.what,
                &short(figure.value),
                &goal,
                reached,
            ],
        );
    }
    table
}

fn filters(measured: &Measured) -> String {
    let mut table =
        "| per request, in microseconds of Envoy's worker | in all | added |\n|---|---|---|\n"
            .to_owned();
    for (name, what) in FILTERS {
        let times = measured
            .filters
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let added = overhead(&measured.filters, name, "none");
        push_row(&mut table, &[what, &short(median(times)), &short(added)]);
    }
    table
}

fn sockets(measured: &Measured) -> String {
    let mut table =
        "| TLS, in microseconds of Envoy's worker | the module | Envoy's own |\n|---|---|---|\n"
            .to_owned();
    let (module, boringssl) = (&measured.sockets.module, &measured.sockets.boringssl);
    let rows = [
        ("a request, HTTP/1.1", &module.http1, &boringssl.http1),
        ("a request, HTTP/2", &module.http2, &boringssl.http2),
        (
            "a connection with a full handshake and one request",
            &module.full,
            &boringssl.full,
        ),
        (
            "the same with a resumed handshake",
            &module.resumed,
            &boringssl.resumed,
        ),
    ];
    for (what, module, boringssl) in rows {
        push_row(
            &mut table,
            &[what, &short(median(module)), &short(median(boringssl))],
        );
    }
    table
}

/// The table of latencies beside filters.
fn latency(latency: &[Vec<Latency>; 4]) -> String {
    let mut table = "| from being due to the answer at half of the peak load, HTTP/1.1, in microseconds | half of them | 99 of 100 |\n\
                     |---|---|---|\n"
        .to_owned();
    for (name, latency) in ["none", "empty", "reader", "hit"].into_iter().zip(latency) {
        let of = |part: fn(&Latency) -> f64| short(median_of(latency, part));
        let what = FILTERS.iter().find(|(key, _)| *key == name);
        let what = what.map_or(name, |(_, what)| *what);
        push_row(
            &mut table,
            &[what, &of(|latency| latency.p50), &of(|latency| latency.p99)],
        );
    }
    table
}

fn median_of(latency: &[Latency], part: fn(&Latency) -> f64) -> f64 {
    median(&latency.iter().map(part).collect::<Vec<_>>())
}

/// The table of both sidecars.
#[must_use]
pub fn sidecars(measured: &sidecars::Measured) -> String {
    let mut table = "| both sidecars, in microseconds | without binding | with prover, and a filter that only reads | with binding |\n|---|---|---|---|\n".to_owned();
    let whats = [
        "of both workers per request, HTTP/1.1 of the application, HTTP/2 between the sidecars",
        "the same, HTTP/1.1 all the way",
        "the same, HTTP/2 all the way",
    ];
    for (what, way) in whats.iter().zip(WAYS) {
        let time = |extra| short(median(measured.of(way, extra)));
        let beside = |extra| format!("{} (x {:.3})", time(extra), measured.ratio(way, extra));
        let (reading, binding) = (beside(Extra::Reading), beside(Extra::Binding));
        push_row(
            &mut table,
            &[what, &time(Extra::Nothing), &reading, &binding],
        );
    }
    let mut push_latency = |what, part: fn(&Latency) -> f64| {
        let cells = measured
            .latency
            .each_ref()
            .map(|latency| short(median_of(latency, part)));
        let [plain, reading, binding] = &cells;
        push_row(&mut table, &[what, plain, reading, binding]);
    };
    let what = "from being due to the answer at half of the peak load, the first way: half of them";
    push_latency(what, |latency| latency.p50);
    push_latency("the same, 99 of 100", |latency| latency.p99);
    let sidecars::Measured {
        requests,
        signatures,
        pairs,
        ..
    } = measured;
    format!(
        "{table}\nFor {requests} requests with proofs, on {pairs} pairs of token and connection, {signatures} proofs \
         were signed.\n"
    )
}

/// One table of looks at Envoy, each with its name.
#[must_use]
pub fn looks(title: &str, looks: &[(String, Look)]) -> String {
    const MEBIBYTE: u64 = 1 << 20;
    let mut table = format!(
        "| {title} | resident memory, MiB | allocated by Envoy, MiB | bindings in the cache |\n|---|---|---|---|\n"
    );
    for (name, look) in looks {
        push_row(
            &mut table,
            &[
                name,
                &(look.resident / MEBIBYTE).to_string(),
                &(look.allocated / MEBIBYTE).to_string(),
                &look.bindings.to_string(),
            ],
        );
    }
    table
}

fn push_row(table: &mut String, cells: &[&str]) {
    // Writing to a string does not fail.
    let _ = writeln!(table, "| {} |", cells.join(" | "));
}

fn short(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}
