//! What a filter adds to a request: Envoy's time on its core per request, listener by listener in turn.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use rustls::client::Resumption;
use serde_json::{Value, json};
use tls_session_binding_e2e::{Error, Result};

use crate::bootstrap::{
    CLAIMS, EMPTY, Jwt, OURS, READER, Socket, jwt_authn, listener, purge, wasm,
};
use crate::latency::{self, Latency};
use crate::load::Protocol;
use crate::load::lanes::Lanes;
use crate::machine::Thread;
use crate::presenting::{Client, Presenting};
use crate::proxy::{Credentials, Proxy};
use crate::statistics::{median, micros, number};

/// Connections to each listener.
const CONNECTIONS: usize = 8;

/// HTTP/2 requests that a connection sends at once, the next when all are answered. Envoy reads them at
/// once, so that its worker is never idle and the kernel's part is small and the same for every listener.
const AT_ONCE: usize = 16;

/// So that several requests can be under way.
const PROTOCOL: Protocol = Protocol::Http2;

/// Requests per connection before anything is measured: V8 has compiled what runs often by then.
const WARM_UP: usize = 1500;

/// Time for Envoy to finish what it does after the last response.
pub const SETTLE: Duration = Duration::from_millis(2);

/// One way to send requests to one listener.
struct Subject {
    name: &'static str,
    presenting: Presenting,
    lanes: Lanes,
    /// Requests per connection and turn.
    each: usize,
}

/// What is measured: name, listener, what is presented.
const SUBJECTS: [(&str, &str, Presenting); 14] = [
    ("none", "none", Presenting::Again { tokens: 1 }),
    ("empty", "empty", Presenting::Again { tokens: 1 }),
    ("reader", "reader", Presenting::Again { tokens: 1 }),
    ("hit", "ours", Presenting::Again { tokens: 1 }),
    ("hit_of_50", "ours", Presenting::Again { tokens: 50 }),
    (
        "hit_purging",
        "ours_purging",
        Presenting::Again { tokens: 1 },
    ),
    ("first", "ours", Presenting::Times(1)),
    ("per_request", "ours", Presenting::PerRequest),
    ("cache_off", "ours_off", Presenting::Again { tokens: 1 }),
    ("jwt", "jwt", Presenting::Again { tokens: 1 }),
    ("jwt_cached", "jwt_cached", Presenting::Again { tokens: 1 }),
    (
        "jwt_published",
        "jwt_published",
        Presenting::Again { tokens: 1 },
    ),
    (
        "reader_property",
        "reader_property",
        Presenting::Again { tokens: 1 },
    ),
    (
        "hit_property",
        "ours_property",
        Presenting::Again { tokens: 1 },
    ),
];

/// Microseconds per request by subject, one number per round.
pub type Times = BTreeMap<&'static str, Vec<f64>>;

/// The listeners of this measurement.
#[must_use]
pub fn listeners(credentials: &Credentials) -> Vec<Value> {
    let files = credentials.directory();
    let plain = |name, filters: &[Value]| listener(name, &files, Socket::Module, &[], filters);
    let off = json!({ "cache": { "connections": 0 } });
    let published = || jwt_authn(&files, Jwt::Published);
    let by_property = json!({ "confirmation": { "property": CLAIMS } });
    vec![
        plain("none", &[]),
        plain("empty", &[wasm("empty", EMPTY, &json!({}))]),
        plain("reader", &[wasm("reader", READER, &json!({}))]),
        plain("ours", &[wasm("ours", OURS, &json!({}))]),
        listener(
            "ours_purging",
            &files,
            Socket::Module,
            &[purge("ours_purging")],
            &[wasm("ours_purging", OURS, &json!({}))],
        ),
        plain("ours_off", &[wasm("ours_off", OURS, &off)]),
        plain("jwt", &[jwt_authn(&files, Jwt::Plain)]),
        plain("jwt_cached", &[jwt_authn(&files, Jwt::Cached)]),
        plain("jwt_published", &[published()]),
        plain(
            "reader_property",
            &[
                published(),
                wasm("reader_property", READER, &json!({ "property": CLAIMS })),
            ],
        ),
        plain(
            "ours_property",
            &[published(), wasm("ours_property", OURS, &by_property)],
        ),
    ]
}

/// Measures every subject once a round.
///
/// # Errors
/// When a request does not get the expected answer.
pub fn measure(proxy: &Proxy, credentials: &Credentials, rounds: usize) -> Result<Times> {
    let client = Client::new(&credentials.party, &credentials.issuer);
    let mut subjects = Vec::new();
    for (name, listener, presenting) in SUBJECTS {
        subjects.push(open(proxy, credentials, name, listener, presenting)?);
    }
    for subject in &mut subjects {
        subject.warm_up(&client)?;
    }
    let mut times = Times::new();
    for _ in 0..rounds {
        for subject in &mut subjects {
            let time = subject.measure(&client, &proxy.worker)?;
            times.entry(subject.name).or_default().push(time);
        }
    }
    Ok(times)
}

/// Microseconds per request by how often a token is used on its connection, by the filter alone.
///
/// # Errors
/// When a request does not get the expected answer.
pub fn by_uses(
    proxy: &Proxy,
    credentials: &Credentials,
    uses: &[usize],
    rounds: usize,
) -> Result<Vec<(usize, f64)>> {
    let client = Client::new(&credentials.party, &credentials.issuer);
    let again = Presenting::Again { tokens: 1 };
    let mut none = open(proxy, credentials, "none", "none", again)?;
    none.warm_up(&client)?;
    let mut results = Vec::new();
    for &uses in uses {
        let presenting = Presenting::Times(uses);
        let mut subject = open(proxy, credentials, "ours", "ours", presenting)?;
        let mut overheads = Vec::new();
        for _ in 0..rounds {
            let base = none.measure(&client, &proxy.worker)?;
            overheads.push(subject.measure(&client, &proxy.worker)? - base);
        }
        results.push((uses, median(&overheads)));
    }
    Ok(results)
}

/// Latencies over HTTP/1.1 without filter, with the empty and the reading one, and of hits, all at half of the
/// peak load of the slowest.
///
/// # Errors
/// When a request does not get the expected answer.
pub fn latency(
    proxy: &Proxy,
    credentials: &Credentials,
    rounds: usize,
) -> Result<[Vec<Latency>; 4]> {
    let client = Client::new(&credentials.party, &credentials.issuer);
    let config = credentials.tls(Protocol::Http1, Resumption::disabled())?;
    let open = |listener| {
        let address = proxy.address(listener)?;
        let mut lanes = Lanes::open(CONNECTIONS, address, &config, Protocol::Http1, 1)?;
        let presenting = Presenting::Again { tokens: 1 };
        lanes.prepare(|exporter| client.requests(presenting, Protocol::Http1, 1, exporter))?;
        lanes.run(WARM_UP)?;
        Ok::<_, Error>(lanes)
    };
    let mut lanes = [
        open("none")?,
        open("empty")?,
        open("reader")?,
        open("ours")?,
    ];
    latency::in_turn(lanes.each_mut(), rounds)
}

fn open(
    proxy: &Proxy,
    credentials: &Credentials,
    name: &'static str,
    listener: &str,
    presenting: Presenting,
) -> Result<Subject> {
    let config = credentials.tls(PROTOCOL, Resumption::disabled())?;
    let address = proxy.address(listener)?;
    let lanes = Lanes::open(CONNECTIONS, address, &config, PROTOCOL, AT_ONCE)?;
    let each = match presenting {
        Presenting::Again { .. } => 12 * AT_ONCE,
        Presenting::PerRequest => 3 * AT_ONCE,
        Presenting::Times(times) => (3 * AT_ONCE).next_multiple_of(times),
    };
    Ok(Subject {
        name,
        presenting,
        lanes,
        each,
    })
}

impl Subject {
    fn warm_up(&mut self, client: &Client<'_>) -> Result<()> {
        self.prepare(client)?;
        match self.presenting {
            Presenting::Again { .. } => self.lanes.run(WARM_UP),
            _ => self.lanes.run(self.each),
        }
    }

    fn prepare(&mut self, client: &Client<'_>) -> Result<()> {
        let (presenting, each) = (self.presenting, self.each);
        self.lanes
            .prepare(|exporter| client.requests(presenting, PROTOCOL, each, exporter))
    }

    fn measure(&mut self, client: &Client<'_>, worker: &Thread) -> Result<f64> {
        if !matches!(self.presenting, Presenting::Again { .. }) {
            self.prepare(client)?;
        }
        time_per_request(worker, &mut self.lanes, self.each)
    }
}

/// Microseconds that a thread of Envoy's is on its core, per request.
///
/// # Errors
/// When a request does not get the expected answer.
pub fn time_per_request(worker: &Thread, lanes: &mut Lanes, each: usize) -> Result<f64> {
    let before = worker.cpu_time()?;
    lanes.run(each)?;
    sleep(SETTLE);
    let used = worker.cpu_time()?.saturating_sub(before);
    Ok(micros(used) / number(each * lanes.len()))
}

/// The median of what `subject` takes beyond `base`, round by round.
#[must_use]
pub fn overhead(times: &Times, subject: &str, base: &str) -> f64 {
    let samples = |name| times.get(name).map(Vec::as_slice).unwrap_or_default();
    let differences: Vec<f64> = samples(subject)
        .iter()
        .zip(samples(base))
        .map(|(subject, base)| subject - base)
        .collect();
    median(&differences)
}
