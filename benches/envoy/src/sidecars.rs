//! Both sidecars of `envoy/egress.yaml` and `envoy/ingress.yaml` in front of a service, with binding and without:
//! the CPU time that a request takes of both workers. Without means: no prover, no filter, all else the same.
//! A prover and a filter that only reads stand between: less than they no filter in Wasm can take.

pub mod chain;
pub mod dead;

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use tls_session_binding_e2e::Result;

use crate::filters::SETTLE;
use crate::latency::{self, Latency, push_latency};
use crate::load::lanes::Lanes;
use crate::load::{Protocol, Request};
use crate::presenting::Client;
use crate::proxy::Credentials;
use crate::statistics::{median, median_ratio, micros, number, whole};
use chain::{Chain, EXTRAS, Extra, Kind, WAYS, Way};

/// Connections of the application, and requests that each sends at once: about a hundred clients.
const HTTP1: (usize, usize) = (96, 1);
const HTTP2: (usize, usize) = (6, 16);
/// The same where latency is measured: few, so that requests do not wait for each other.
const FEW: (usize, usize) = (4, 1);
/// Users in turn.
const TOKENS: usize = 20;
/// Requests before anything is measured: enough for each token to have met each connection.
const WARM_UP: usize = 96 * 100;
/// Requests of one turn.
const TURN: usize = 96 * 16;
/// The module's counts are carried over four times a second.
const CARRIED: Duration = Duration::from_millis(600);

/// Microseconds of both workers per request, one number per round, by kind of chain.
type Times = BTreeMap<String, Vec<f64>>;

/// What both sidecars take.
#[derive(Debug)]
pub struct Measured {
    times: Times,
    /// The first way at half of the peak load: without binding, with the reading filter, with binding.
    pub latency: [Vec<Latency>; 3],
    /// Requests with binding.
    pub requests: usize,
    /// Signatures made for them.
    pub signatures: u64,
    /// Pairs of token and connection between the sidecars.
    pub pairs: u64,
}

/// Measures every kind of chain once a round.
///
/// # Errors
/// When a request does not get the expected answer.
pub fn measure(credentials: &Credentials, rounds: usize) -> Result<Measured> {
    let chain = Chain::start(credentials)?;
    let client = Client::new(&credentials.party, &credentials.issuer);
    let tokens = (0..TOKENS).map(|_| client.token());
    let tokens = tokens.collect::<Result<Vec<_>>>()?;
    let mut lanes = Vec::new();
    for kind in Kind::all() {
        let load = match kind.way.application {
            Protocol::Http1 => HTTP1,
            Protocol::Http2 => HTTP2,
        };
        lanes.push((kind.name(), open(&chain, kind, load, &tokens)?));
    }
    let mut times = Times::new();
    for _ in 0..rounds {
        for (name, lanes) in &mut lanes {
            let before = chain.cpu_time()?;
            lanes.run(TURN / lanes.len())?;
            sleep(SETTLE);
            let used = chain.cpu_time()?.saturating_sub(before);
            times
                .entry(name.clone())
                .or_default()
                .push(micros(used) / number(TURN));
        }
    }
    sleep(CARRIED);
    let (signatures, pairs) = (chain.signatures()?, chain.connections()? * TOKENS as u64);
    let proving = WAYS.len() * (EXTRAS.len() - 1);
    Ok(Measured {
        times,
        latency: at_half_of_peak(&chain, &tokens, rounds.div_ceil(4))?,
        requests: proving * (WARM_UP + rounds * TURN),
        signatures,
        pairs,
    })
}

/// Latency on the first way, with everything that the sidecars may do beside.
fn at_half_of_peak(
    chain: &Chain,
    tokens: &[String],
    rounds: usize,
) -> Result<[Vec<Latency>; EXTRAS.len()]> {
    let way = WAYS[0];
    let [plain, reading, binding] =
        EXTRAS.map(|extra| open(chain, Kind { way, extra }, FEW, tokens));
    latency::in_turn([&mut plain?, &mut reading?, &mut binding?], rounds)
}

/// Opens connections of the application, and warms them up.
fn open(
    chain: &Chain,
    kind: Kind,
    (connections, at_once): (usize, usize),
    tokens: &[String],
) -> Result<Lanes> {
    let protocol = kind.way.application;
    let requests: Vec<_> = tokens
        .iter()
        .map(|token| protocol.encode(Request { token, proof: None }))
        .collect();
    let address = chain.address(kind)?;
    let mut lanes = Lanes::open_clear(connections, address, protocol, at_once, &requests)?;
    lanes.run(WARM_UP / connections)?;
    Ok(lanes)
}

impl Measured {
    /// What the sidecars take with this, against without.
    #[must_use]
    pub fn ratio(&self, way: Way, extra: Extra) -> f64 {
        median_ratio(self.of(way, extra), self.of(way, Extra::Nothing))
    }

    /// Signatures for each pair of token and connection.
    #[must_use]
    pub fn signatures_per_pair(&self) -> f64 {
        whole(self.signatures) / whole(self.pairs)
    }

    /// The plain medians, by name.
    #[must_use]
    pub fn medians(&self) -> Vec<(String, f64)> {
        let mut medians = Vec::new();
        for (kind, times) in &self.times {
            medians.push((format!("request_us.{kind}"), median(times)));
        }
        for way in WAYS {
            for extra in [Extra::Reading, Extra::Binding] {
                let name = format!("sidecars_{}_over_plain.{}", extra.name(), way.name);
                medians.push((name, self.ratio(way, extra)));
            }
        }
        for (extra, latency) in EXTRAS.iter().zip(&self.latency) {
            push_latency(&mut medians, &format!("sidecars_{}", extra.name()), latency);
        }
        let per_request = whole(self.signatures) / number(self.requests);
        medians.push(("signatures_per_request.sidecars".to_owned(), per_request));
        medians
    }

    /// Microseconds per request, one number per round.
    #[must_use]
    pub fn of(&self, way: Way, extra: Extra) -> &[f64] {
        self.times
            .get(&Kind { way, extra }.name())
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}
