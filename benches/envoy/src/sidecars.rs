//! Both sidecars of `envoy/egress.yaml` and `envoy/ingress.yaml` in front of a service, with binding and without:
//! the CPU time that a request takes of both workers. Without means: no prover, no filter, all else the same.

pub mod chain;

use std::thread::sleep;
use std::time::Duration;

use tls_session_binding_e2e::Result;

use crate::filters::{SETTLE, Times};
use crate::latency::{self, Latency};
use crate::load::lanes::Lanes;
use crate::load::{Protocol, Request};
use crate::presenting::Client;
use crate::proxy::Credentials;
use crate::report::figures::{median_ratio, push_latency, whole};
use crate::statistics::{median, micros, number};
use chain::{Chain, KINDS, Kind};

/// Connections of the application.
const CONNECTIONS: usize = 4;
/// HTTP/2 requests that each sends at once.
const AT_ONCE: usize = 16;
/// Users in turn.
const TOKENS: usize = 20;
/// Requests per connection before anything is measured.
const WARM_UP: usize = 400;
/// Requests per connection and turn.
const EACH: usize = 6 * AT_ONCE;
/// The module's counts are carried over four times a second.
const CARRIED: Duration = Duration::from_millis(600);

/// What both sidecars take.
#[derive(Debug)]
pub struct Measured {
    /// Microseconds of both workers per request, by kind of chain.
    pub times: Times,
    /// HTTP/1.1 at half of the peak load: without and with binding.
    pub latency: [Vec<Latency>; 2],
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
    for kind in &KINDS {
        let mut one = open(&chain, kind, &tokens)?;
        one.run(WARM_UP)?;
        lanes.push((kind, one));
    }
    let mut times = Times::new();
    for _ in 0..rounds {
        for (kind, lanes) in &mut lanes {
            let before = chain.cpu_time()?;
            lanes.run(EACH)?;
            sleep(SETTLE);
            let used = chain.cpu_time()?.saturating_sub(before);
            let time = micros(used) / number(EACH * lanes.len());
            times.entry(kind.name).or_default().push(time);
        }
    }
    let bound = KINDS.iter().filter(|kind| kind.binding).count();
    sleep(CARRIED);
    let (signatures, pairs) = (chain.signatures()?, chain.connections()? * TOKENS as u64);
    let [(_, plain), (_, binding), ..] = lanes.as_mut_slice() else {
        return Err("no chains".into());
    };
    Ok(Measured {
        times,
        latency: latency::in_turn([plain, binding], rounds.div_ceil(4))?,
        requests: bound * CONNECTIONS * (WARM_UP + rounds * EACH),
        signatures,
        pairs,
    })
}

fn open(chain: &Chain, kind: &Kind, tokens: &[String]) -> Result<Lanes> {
    let depth = match kind.protocol {
        Protocol::Http1 => 1,
        Protocol::Http2 => AT_ONCE,
    };
    let requests: Vec<_> = tokens
        .iter()
        .map(|token| kind.protocol.encode(Request { token, proof: None }))
        .collect();
    let address = chain.address(kind)?;
    Lanes::open_clear(CONNECTIONS, address, kind.protocol, depth, &requests)
}

impl Measured {
    /// With binding against without, by what is spoken: `h1`, `h2` or `h2_no_jwt`.
    #[must_use]
    pub fn ratio(&self, protocol: &str) -> f64 {
        let times = |way| self.of(way, protocol);
        median_ratio(times("binding"), times("plain"))
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
        for protocol in ["h1", "h2", "h2_no_jwt"] {
            let ratio = self.ratio(protocol);
            medians.push((format!("sidecars_binding_over_plain.{protocol}"), ratio));
        }
        for (way, latency) in ["sidecars_plain", "sidecars_binding"]
            .into_iter()
            .zip(&self.latency)
        {
            push_latency(&mut medians, way, latency);
        }
        let per_request = whole(self.signatures) / number(self.requests);
        medians.push(("signatures_per_request.sidecars".to_owned(), per_request));
        medians
    }

    /// Microseconds per request, one number per round.
    #[must_use]
    pub fn of(&self, way: &str, protocol: &str) -> &[f64] {
        let kind = format!("sidecars_{way}_{protocol}");
        self.times
            .get(kind.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}
