//! What a cluster that accepts connections and never answers a handshake costs the requests through another one: the
//! application's sidecar twice, with requests that wait for the dead cluster and without, in turn.

use std::net::TcpListener;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tls_session_binding_e2e::Result;

use super::chain::{cluster, codec, in_the_clear, prover, to};
use crate::bootstrap::{
    Socket, connection_manager, loopback, module_socket, publish, transport_socket, with_clusters,
    with_listeners,
};
use crate::filters::SETTLE;
use crate::load::connection::Connection;
use crate::load::lanes::Lanes;
use crate::load::{Protocol, Request};
use crate::machine::Core;
use crate::presenting::Client;
use crate::proxy::{Credentials, Proxy};
use crate::statistics::{median, median_ratio, micros, number};

/// Requests that wait for the dead cluster, and what they come on.
const WAITING: usize = 3_000;
const WAITING_CONNECTIONS: usize = 60;
/// Longer than any measurement.
const FOR_EVER: &str = "3600s";
/// Connections with requests through the healthy cluster.
const LANES: usize = 16;
const WARM_UP: usize = 200;
/// Requests of one turn.
const TURN: usize = 3_200;
const PATIENCE: Duration = Duration::from_mins(1);

/// Microseconds of the worker per request through the healthy cluster, one number per round.
#[derive(Debug, Default)]
pub struct Measured {
    alone: Vec<f64>,
    beside: Vec<f64>,
}

impl Measured {
    /// What such a request takes while others wait for the dead cluster, against without.
    #[must_use]
    pub fn tax(&self) -> f64 {
        median_ratio(&self.beside, &self.alone)
    }

    /// The plain medians, by name.
    #[must_use]
    pub fn medians(&self) -> [(String, f64); 2] {
        [
            ("alone", &self.alone),
            ("beside_dead_cluster", &self.beside),
        ]
        .map(|(name, times)| (format!("request_us.healthy_{name}"), median(times)))
    }
}

/// Measures both sidecars once a round.
///
/// # Errors
/// When a request does not get the expected answer, or one does not wait.
pub fn measure(credentials: &Credentials, rounds: usize) -> Result<Measured> {
    // The kernel accepts, and nobody answers.
    let dead = TcpListener::bind(("127.0.0.1", 0))?;
    let ingress = ingress(credentials)?;
    let start = |name| sidecar(credentials, name, &ingress, &dead);
    let (alone, beside) = (start("alone")?, start("beside")?);
    let request = request(credentials)?;
    let waiting = wait(&beside, &request)?;
    let mut lanes = [open(&alone, &request)?, open(&beside, &request)?];
    let mut measured = Measured::default();
    for _ in 0..rounds {
        let [of_alone, of_beside] = &mut lanes;
        measured.alone.push(turn(&alone, of_alone)?);
        measured.beside.push(turn(&beside, of_beside)?);
    }
    let still = beside.stat("cluster.dead.upstream_rq_pending_active")?;
    drop(waiting);
    if still < WAITING as u64 {
        return Err(format!("only {still} requests wait for the dead cluster").into());
    }
    Ok(measured)
}

fn turn(sidecar: &Proxy, lanes: &mut Lanes) -> Result<f64> {
    let before = sidecar.worker.cpu_time()?;
    lanes.run(TURN / LANES)?;
    sleep(SETTLE);
    let used = sidecar.worker.cpu_time()?.saturating_sub(before);
    Ok(micros(used) / number(TURN))
}

fn request(credentials: &Credentials) -> Result<String> {
    Client::new(&credentials.party, &credentials.issuer).token()
}

fn open(sidecar: &Proxy, token: &str) -> Result<Lanes> {
    let request = Protocol::Http1.encode(Request { token, proof: None });
    let address = sidecar.address("healthy")?;
    let mut lanes = Lanes::open_clear(LANES, address, Protocol::Http1, 1, &[request])?;
    lanes.run(WARM_UP)?;
    Ok(lanes)
}

/// Sends the requests that wait, and gives the connections on which they do.
fn wait(sidecar: &Proxy, token: &str) -> Result<Vec<Connection>> {
    let request = Protocol::Http2.encode(Request { token, proof: None });
    let address = sidecar.address("dead")?;
    let mut connections = Vec::new();
    for _ in 0..WAITING_CONNECTIONS {
        let mut connection = Connection::open_clear(address, Protocol::Http2)?;
        for _ in 0..WAITING / WAITING_CONNECTIONS {
            connection.push(&request);
        }
        connection.flush()?;
        connections.push(connection);
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        for connection in &mut connections {
            connection.receive()?;
            connection.flush()?;
        }
        let waits = sidecar.stat("waits.begun")?;
        if waits >= WAITING as u64 {
            return Ok(connections);
        }
        if Instant::now() > deadline {
            return Err(format!("only {waits} requests wait").into());
        }
        sleep(Duration::from_millis(100));
    }
}

fn ingress(credentials: &Credentials) -> Result<Proxy> {
    let answer = json!({ "direct_response": { "status": 200 } });
    let listener = json!({
        "name": "ingress",
        "address": loopback(),
        "filter_chains": [{
            "transport_socket": transport_socket(Socket::Module, &credentials.directory()),
            "filters": [publish(), connection_manager(&[], &answer)],
        }],
    });
    Proxy::start_beside(
        credentials,
        "ingress",
        Core::Load,
        &with_listeners(&[listener]),
    )
}

fn sidecar(
    credentials: &Credentials,
    name: &str,
    ingress: &Proxy,
    dead: &TcpListener,
) -> Result<Proxy> {
    let files = credentials.directory();
    let pki = |name: &str| files.join("pki").join(name);
    let socket = module_socket(&json!({
        "identity": { "certificate_chain": pki("client.pem"), "private_key": pki("client.key") },
        "peer": { "ca": pki("ca.pem"), "server_name": "service.demo" },
        "tls": { "versions": ["1.3"], "alpn": ["h2"] },
    }));
    let filters = [prover(&json!({ "max_wait": FOR_EVER })), codec()];
    let to_cluster = |name, address| {
        let mut cluster = cluster(name, address, Protocol::Http2, &socket, &filters);
        set(&mut cluster, "connect_timeout", json!(FOR_EVER));
        let many = json!({ "max_connections": 10_000, "max_requests": 10_000, "max_pending_requests": 10_000 });
        set(
            &mut cluster,
            "circuit_breakers",
            json!({ "thresholds": [many] }),
        );
        cluster
    };
    let clusters = [
        to_cluster("healthy", ingress.address("ingress")?),
        to_cluster("dead", dead.local_addr()?),
    ];
    let route = |name| {
        let mut action = to(name);
        if let Some(route) = action.get_mut("route") {
            set(route, "timeout", json!("0s"));
        }
        in_the_clear(name, &action)
    };
    let bootstrap = with_clusters(&[route("healthy"), route("dead")], &clusters);
    Proxy::start_beside(credentials, name, Core::Envoy, &bootstrap)
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}
