//! The native module's TLS socket against Envoy's own, with the same client, certificates, version and
//! key exchange.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::sleep;

use rustls::ClientConfig;
use rustls::client::Resumption;
use serde_json::Value;
use tls_session_binding_e2e::Result;

use crate::bootstrap::{Socket, listener};
use crate::filters::{SETTLE, time_per_request};
use crate::latency::{self, Latency};
use crate::load::handshakes::visit;
use crate::load::lanes::Lanes;
use crate::load::{Protocol, Request};
use crate::proxy::{Credentials, Proxy};
use crate::statistics::{micros, number};

/// Connections per turn of a handshake measurement.
const VISITS: usize = 25;

/// What one socket takes.
#[derive(Debug, Default)]
pub struct Times {
    /// Microseconds of Envoy's worker per HTTP/1.1 request.
    pub http1: Vec<f64>,
    /// The same with HTTP/2.
    pub http2: Vec<f64>,
    /// The same per connection with a full handshake and one request.
    pub full: Vec<f64>,
    /// The same with a resumed handshake.
    pub resumed: Vec<f64>,
    /// HTTP/1.1 at half of the peak load.
    pub latency: Vec<Latency>,
}

/// Both sockets.
#[derive(Debug)]
pub struct Sockets {
    /// The native module's.
    pub module: Times,
    /// Envoy's own.
    pub boringssl: Times,
}

struct Subject {
    address: SocketAddr,
    http1: Lanes,
    http2: Lanes,
    full: Arc<ClientConfig>,
    resumed: Arc<ClientConfig>,
    times: Times,
}

/// The listeners of this measurement.
#[must_use]
pub fn listeners(credentials: &Credentials) -> Vec<Value> {
    let files = credentials.directory();
    vec![
        listener("module", &files, Socket::Module, &[], &[]),
        listener("boringssl", &files, Socket::BoringSsl, &[], &[]),
    ]
}

/// Measures both sockets in turn.
///
/// # Errors
/// When a request does not get the expected answer.
pub fn measure(proxy: &Proxy, credentials: &Credentials, rounds: usize) -> Result<Sockets> {
    let mut module = Subject::open(proxy, credentials, "module")?;
    let mut boringssl = Subject::open(proxy, credentials, "boringssl")?;
    for _ in 0..rounds {
        module.measure(proxy)?;
        boringssl.measure(proxy)?;
    }
    let lanes = [&mut module.http1, &mut boringssl.http1];
    [module.times.latency, boringssl.times.latency] = latency::in_turn(lanes, rounds)?;
    Ok(Sockets {
        module: module.times,
        boringssl: boringssl.times,
    })
}

impl Subject {
    fn open(proxy: &Proxy, credentials: &Credentials, listener: &str) -> Result<Self> {
        let address = proxy.address(listener)?;
        let lanes = |count, protocol: Protocol, depth| {
            let config = credentials.tls(protocol, Resumption::disabled())?;
            let mut lanes = Lanes::open(count, address, &config, protocol, depth)?;
            lanes.prepare(|_| Ok(vec![request(protocol)]))?;
            lanes.run(500)?;
            Ok::<_, tls_session_binding_e2e::Error>(lanes)
        };
        Ok(Self {
            address,
            http1: lanes(8, Protocol::Http1, 1)?,
            http2: lanes(4, Protocol::Http2, 8)?,
            full: credentials.tls(Protocol::Http1, Resumption::disabled())?,
            resumed: credentials.tls(Protocol::Http1, Resumption::in_memory_sessions(32))?,
            times: Times::default(),
        })
    }

    fn measure(&mut self, proxy: &Proxy) -> Result<()> {
        let worker = &proxy.worker;
        let http1 = time_per_request(worker, &mut self.http1, 150)?;
        let http2 = time_per_request(worker, &mut self.http2, 300)?;
        self.times.http1.push(http1);
        self.times.http2.push(http2);
        let full = time_per_visit(proxy, self.address, &self.full, false)?;
        // A ticket to begin with, outside of the measured time.
        visit_once(self.address, &self.resumed)?;
        let resumed = time_per_visit(proxy, self.address, &self.resumed, true)?;
        self.times.full.push(full);
        self.times.resumed.push(resumed);
        Ok(())
    }
}

/// Microseconds of Envoy's worker per connection with one request.
fn time_per_visit(
    proxy: &Proxy,
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    resumed: bool,
) -> Result<f64> {
    let before = proxy.worker.cpu_time()?;
    for _ in 0..VISITS {
        if visit_once(address, config)? != resumed {
            return Err("a handshake was not of the kind that is measured".into());
        }
    }
    sleep(SETTLE);
    let used = proxy.worker.cpu_time()?.saturating_sub(before);
    Ok(micros(used) / number(VISITS))
}

fn visit_once(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<bool> {
    visit(address, config, |_| Ok(request(Protocol::Http1)))
}

/// A request with token and proof of the usual lengths. No filter looks at them.
fn request(protocol: Protocol) -> Box<[u8]> {
    protocol.encode(Request {
        token: &"t".repeat(500),
        proof: Some(&"p".repeat(430)),
    })
}
