//! Envoy's memory and the cache's gauge over many connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{scope, sleep};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use serde_json::{Value, json};
use tls_session_binding_client::ExporterValue;
use tls_session_binding_e2e::{Error, Result};

use crate::bootstrap::{OURS, Socket, listener, purge, wasm};
use crate::load::Protocol;
use crate::load::handshakes::visit;
use crate::load::lanes::Lanes;
use crate::presenting::{Client, Presenting};
use crate::proxy::{Credentials, Proxy};

/// Connections opened and closed at a time.
const VISITORS: usize = 4;

/// Time for Envoy to notice closed connections, and to bring its statistics up to date.
const SETTLE: Duration = Duration::from_secs(6);

/// One look at Envoy.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Memory of the process in RAM, in bytes.
    pub resident: u64,
    /// What Envoy has allocated, in bytes; the VMs of Wasm filters are not in it.
    pub allocated: u64,
    /// Bindings in the cache.
    pub bindings: u64,
    /// Connections that are open.
    pub connections: u64,
}

impl Look {
    /// Looks.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub fn at(proxy: &Proxy) -> Result<Self> {
        Ok(Self {
            resident: proxy.resident_bytes()?,
            allocated: proxy.allocated_bytes()?,
            bindings: proxy.stat("session_binding.cache.bindings")?,
            connections: proxy.stat("http.benchmark.downstream_cx_active")?,
        })
    }
}

/// Whether the network filter is there that drops a connection's bindings when it closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purging {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// An Envoy with the filter on its only listener.
///
/// # Errors
/// When it does not start.
pub fn start(credentials: &Credentials, purging: Purging) -> Result<Proxy> {
    let purge: &[Value] = match purging {
        Purging::On => &[purge("ours")],
        Purging::Off => &[],
    };
    let filters = [wasm("ours", OURS, &json!({}))];
    let files = credentials.directory();
    let listener = listener("ours", &files, Socket::Module, purge, &filters);
    Proxy::start(credentials, &[listener])
}

/// Opens connections, each for one request with a proof, and closes them, until the numbers in `stops`
/// are reached. The result is one look at each stop, and one before.
///
/// # Errors
/// When a request does not get the expected answer.
pub fn pass_through(
    credentials: &Credentials,
    purging: Purging,
    stops: &[usize],
) -> Result<Vec<Look>> {
    let proxy = start(credentials, purging)?;
    let address = proxy.address("ours")?;
    let config = credentials.tls(Protocol::Http1, Resumption::in_memory_sessions(32))?;
    let mut looks = vec![Look::at(&proxy)?];
    let mut passed = 0;
    for stop in stops {
        visit_many(credentials, address, &config, stop - passed)?;
        passed = *stop;
        sleep(SETTLE);
        looks.push(Look::at(&proxy)?);
    }
    Ok(looks)
}

fn visit_many(
    credentials: &Credentials,
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    count: usize,
) -> Result<()> {
    let visits = || {
        let client = Client::new(&credentials.party, &credentials.issuer);
        let token = client.token()?;
        for _ in 0..count / VISITORS {
            visit(address, config, |exporter: &ExporterValue| {
                client.request_with(&token, Protocol::Http1, exporter)
            })?;
        }
        Ok::<_, Error>(())
    };
    scope(|scope| {
        let visitors: Vec<_> = (0..VISITORS).map(|_| scope.spawn(visits)).collect();
        visitors
            .into_iter()
            .try_for_each(|visitor| visitor.join().map_err(|_| "a visitor panicked")?)
    })
}

/// Holds `connections` open with `tokens` bindings on each. The result is a look before, one at the peak,
/// and one after all are closed.
///
/// # Errors
/// When a request does not get the expected answer.
pub fn hold(credentials: &Credentials, connections: usize, tokens: usize) -> Result<[Look; 3]> {
    let proxy = start(credentials, Purging::On)?;
    let before = Look::at(&proxy)?;
    let config = credentials.tls(Protocol::Http1, Resumption::disabled())?;
    let client = Client::new(&credentials.party, &credentials.issuer);
    let address = proxy.address("ours")?;
    let mut lanes = Lanes::open(connections, address, &config, Protocol::Http1, 1)?;
    lanes.prepare(|exporter| {
        let presenting = Presenting::Again { tokens };
        client.requests(presenting, Protocol::Http1, tokens, exporter)
    })?;
    lanes.run(tokens)?;
    sleep(SETTLE);
    let peak = Look::at(&proxy)?;
    drop(lanes);
    sleep(SETTLE);
    Ok([before, peak, Look::at(&proxy)?])
}
