//! The figures to reach, and what was measured for each.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::filters::{self, overhead};
use crate::latency::{Latency, push_latency};
use crate::scale::Look;
use crate::sidecars::chain::{Extra, WAYS};
use crate::statistics::{median, median_ratio, whole};
use crate::{configure, sidecars, tls};

/// Everything that was measured.
pub struct Measured {
    /// By listener and what is presented.
    pub filters: filters::Times,
    /// By how often a token is used.
    pub by_uses: Vec<(usize, f64)>,
    /// At half of the peak load: without filter, with two that do almost nothing, and hits.
    pub latency: [Vec<Latency>; 4],
    /// The TLS sockets.
    pub sockets: tls::Sockets,
    /// Both sidecars.
    pub sidecars: sidecars::Measured,
    /// A healthy cluster beside one that never answers.
    pub dead_cluster: sidecars::dead::Measured,
    /// Bringing up a VM.
    pub configure: configure::Times,
    /// Size of the Wasm file, in bytes.
    pub wasm_bytes: u64,
    /// At 0, 10,000 and 100,000 connections, with and without purging.
    pub memory: [Vec<Look>; 2],
}

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

use Goal::{AtLeast, AtMost};

/// One figure.
#[derive(Debug)]
pub struct Figure {
    /// Its name in `results.json`.
    pub key: &'static str,
    /// What it is.
    pub what: &'static str,
    /// What was measured.
    pub value: f64,
    /// What it should be.
    pub goal: Goal,
}

impl Figure {
    /// Whether the goal is reached.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        match self.goal {
            AtMost(limit) => self.value <= limit,
            AtLeast(limit) => self.value >= limit,
        }
    }
}

fn figure(key: &'static str, what: &'static str, value: f64, goal: Goal) -> Figure {
    Figure {
        key,
        what,
        value,
        goal,
    }
}

impl Measured {
    /// All figures, in the order in which they are shown.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = self.figures_of_one();
        figures.extend(self.figures_of_both());
        figures
    }

    /// The figures of both sidecars together.
    fn figures_of_both(&self) -> [Figure; 3] {
        let binding = |way| self.sidecars.ratio(way, Extra::Binding);
        [
            figure(
                "sidecars_binding_over_plain",
                "both sidecars with binding against without, a request's time: the highest of all ways",
                WAYS.map(binding).into_iter().fold(0.0, f64::max),
                AtMost(1.1),
            ),
            figure(
                "signatures_per_pair",
                "signatures for each pair of token and connection between the sidecars",
                self.sidecars.signatures_per_pair(),
                AtMost(1.0),
            ),
            figure(
                "dead_cluster_tax",
                "a request through a healthy cluster while 3,000 wait for one that never answers a handshake, against without",
                self.dead_cluster.tax(),
                AtMost(1.05),
            ),
        ]
    }

    /// The figures of one Envoy.
    fn figures_of_one(&self) -> Vec<Figure> {
        let added = |subject| overhead(&self.filters, subject, "none");
        let behind_jwt = |subject| overhead(&self.filters, subject, "jwt_published");
        let hit = added("hit");
        let [none_latency, _, _, hit_latency] = &self.latency;
        let (module, boringssl) = (&self.sockets.module, &self.sockets.boringssl);
        let full = median_ratio(&boringssl.full, &module.full);
        let resumed = median_ratio(&boringssl.resumed, &module.resumed);
        vec![
            figure(
                "hit_over_reader",
                "a hit, against a Wasm filter that reads the same inputs",
                hit / added("reader"),
                AtMost(1.3),
            ),
            figure(
                "hit_property_over_reader",
                "the same with the claims that jwt_authn verified: both behind it",
                behind_jwt("hit_property") / behind_jwt("reader_property"),
                AtMost(1.3),
            ),
            figure(
                "hit_over_jwt_cached",
                "a hit, against jwt_authn with cache",
                hit / added("jwt_cached"),
                AtMost(2.0),
            ),
            figure(
                "per_request_over_hit",
                "verification of a proof per request, against a hit",
                added("per_request") / hit,
                AtLeast(8.0),
            ),
            figure(
                "first_presentation_us",
                "a first presentation, in microseconds",
                added("first"),
                AtMost(120.0),
            ),
            figure(
                "tokens50_over_1",
                "a hit among 50 tokens on the connection, against 1",
                added("hit_of_50") / hit,
                AtMost(1.2),
            ),
            figure(
                "wasm_bytes",
                "size of the Wasm file, in bytes",
                whole(self.wasm_bytes),
                AtMost(700_000.0),
            ),
            figure(
                "configure_ms",
                "bringing up and configuring a VM, in milliseconds",
                self.configure.configure,
                AtMost(50.0),
            ),
            figure(
                "memory_100k_over_10k",
                "Envoy's memory after 100,000 connections, against after 10,000",
                self.memory_growth(),
                AtMost(1.05),
            ),
            figure(
                "p99_hit_over_none",
                "99th percentile of a hit, against no filter, at half of the peak load",
                ratio_of_p99(hit_latency, none_latency),
                AtMost(1.5),
            ),
            figure(
                "module_over_boringssl_h1",
                "the module's TLS socket against Envoy's own: requests a second, HTTP/1.1",
                median_ratio(&boringssl.http1, &module.http1),
                AtLeast(1.0),
            ),
            figure(
                "module_over_boringssl_h2",
                "the same, HTTP/2",
                median_ratio(&boringssl.http2, &module.http2),
                AtLeast(1.0),
            ),
            figure(
                "module_over_boringssl_handshakes",
                "the same, handshakes a second: the lower of full and resumed",
                full.min(resumed),
                AtLeast(1.0),
            ),
            figure(
                "module_over_boringssl_p99",
                "the same, 99th percentile of HTTP/1.1 at half of the peak load",
                ratio_of_p99(&module.latency, &boringssl.latency),
                AtMost(1.1),
            ),
        ]
    }

    /// `results.json`.
    #[must_use]
    pub fn json(&self) -> String {
        let mut results: Map<String, Value> = self
            .figures()
            .iter()
            .map(|figure| (figure.key.to_owned(), rounded(figure.value)))
            .collect();
        let medians: BTreeMap<String, Value> = self
            .medians()
            .into_iter()
            .map(|(name, value)| (name, rounded(value)))
            .collect();
        results.insert("medians".to_owned(), json!(medians));
        format!("{:#}\n", Value::Object(results))
    }

    /// The plain medians behind the figures, by name.
    #[must_use]
    pub fn medians(&self) -> Vec<(String, f64)> {
        let mut medians = Vec::new();
        for (subject, times) in &self.filters {
            medians.push((format!("request_us.{subject}"), median(times)));
            medians.push((
                format!("added_us.{subject}"),
                overhead(&self.filters, subject, "none"),
            ));
        }
        for (uses, cost) in &self.by_uses {
            medians.push((format!("added_us.uses_{uses}"), *cost));
        }
        let names = ["none", "empty", "reader", "hit"];
        for (name, latency) in names.into_iter().zip(&self.latency) {
            push_latency(&mut medians, name, latency);
        }
        for (name, times) in [
            ("module", &self.sockets.module),
            ("boringssl", &self.sockets.boringssl),
        ] {
            medians.push((format!("request_us.{name}_h1"), median(&times.http1)));
            medians.push((format!("request_us.{name}_h2"), median(&times.http2)));
            medians.push((format!("connection_us.{name}_full"), median(&times.full)));
            medians.push((
                format!("connection_us.{name}_resumed"),
                median(&times.resumed),
            ));
            push_latency(&mut medians, name, &times.latency);
        }
        medians.extend(self.sidecars.medians());
        medians.extend(self.dead_cluster.medians());
        medians.push(("filter_ms.configure".to_owned(), self.configure.configure));
        medians.push(("filter_ms.compile".to_owned(), self.configure.compile));
        medians.push(("filter_ms.listen".to_owned(), self.configure.listen));
        for (name, looks) in ["purging", "not_purging"].into_iter().zip(&self.memory) {
            for (connections, look) in ["0", "10k", "100k"].iter().zip(looks) {
                medians.push((
                    format!("resident_bytes.{name}_{connections}"),
                    whole(look.resident),
                ));
            }
        }
        medians
    }

    /// The larger of the two growths of resident memory.
    fn memory_growth(&self) -> f64 {
        let growth = |looks: &Vec<Look>| match looks[..] {
            [_, early, late] => whole(late.resident) / whole(early.resident),
            _ => f64::NAN,
        };
        self.memory.iter().map(growth).fold(0.0, f64::max)
    }
}

fn ratio_of_p99(one: &[Latency], other: &[Latency]) -> f64 {
    let p99 = |latencies: &[Latency]| {
        latencies
            .iter()
            .map(|latency| latency.p99)
            .collect::<Vec<_>>()
    };
    median_ratio(&p99(one), &p99(other))
}

/// Three digits behind the point are more than the measurement knows.
fn rounded(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}
