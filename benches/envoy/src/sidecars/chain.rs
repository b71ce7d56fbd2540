//! Three Envoys: the application's sidecar and the service's on one core, the service on the load's.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::SERVICE;

use crate::bootstrap::{
    HTTP, Jwt, OURS, READER, STRING, Socket, connection_manager, jwt_authn, loopback, module,
    module_socket, publish, purge, transport_socket, wasm, with_clusters, with_listeners,
};
use crate::load::Protocol;
use crate::machine::Core;
use crate::proxy::{Credentials, Proxy};

const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// What is spoken on a way through both sidecars.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// Its name in the results.
    pub name: &'static str,
    /// What the application speaks.
    pub application: Protocol,
    /// What the sidecars speak with each other.
    pub between: Protocol,
}

/// All ways; the first is that of `envoy/egress.yaml`.
pub const WAYS: [Way; 3] = [
    way("h1_over_h2", Protocol::Http1, Protocol::Http2),
    way("h1", Protocol::Http1, Protocol::Http1),
    way("h2", Protocol::Http2, Protocol::Http2),
];

const fn way(name: &'static str, application: Protocol, between: Protocol) -> Way {
    Way {
        name,
        application,
        between,
    }
}

/// What the sidecars do beside their everyday work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Nothing.
    Nothing,
    /// The prover adds proofs; a filter reads what verification needs, and that is all.
    Reading,
    /// The prover adds proofs, our filter verifies.
    Binding,
}

/// All of them.
pub const EXTRAS: [Extra; 3] = [Extra::Nothing, Extra::Reading, Extra::Binding];

impl Extra {
    /// Its name in the results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "plain",
            Self::Reading => "reading",
            Self::Binding => "binding",
        }
    }
}

/// One way through both sidecars, and what they do on it.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What is spoken.
    pub way: Way,
    /// What is done.
    pub extra: Extra,
}

impl Kind {
    /// Every combination.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |way| EXTRAS.map(|extra| Self { way, extra });
        WAYS.into_iter().flat_map(of)
    }

    /// Its name in the results, and of its listeners and clusters.
    #[must_use]
    pub fn name(&self) -> String {
        format!("sidecars_{}_{}", self.extra.name(), self.way.name)
    }

    fn has_prover(self) -> bool {
        self.extra != Extra::Nothing
    }
}

/// Running sidecars and their service.
pub struct Chain {
    egress: Proxy,
    ingress: Proxy,
    _service: Proxy,
}

impl Chain {
    /// Starts them.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn start(credentials: &Credentials) -> Result<Self> {
        let files = credentials.directory();
        let start =
            |name, core, bootstrap: &str| Proxy::start_beside(credentials, name, core, bootstrap);
        let answer = json!({ "direct_response": { "status": 200 } });
        let listeners = [in_the_clear("service", &answer)];
        let service = start("service", Core::Load, &with_listeners(&listeners))?;

        let listeners = Kind::all().map(|kind| ingress_listener(kind, &files));
        let cluster = cluster(
            "service",
            service.address("service")?,
            Protocol::Http1,
            &Value::Null,
            &[codec()],
        );
        let bootstrap = with_clusters(&listeners.collect::<Vec<_>>(), &[cluster]);
        let ingress = start("ingress", Core::Envoy, &bootstrap)?;

        let listeners = Kind::all().map(|kind| in_the_clear(&kind.name(), &to(&kind.name())));
        let clusters = Kind::all()
            .map(|kind| Ok(egress_cluster(kind, &files, ingress.address(&kind.name())?)));
        let clusters = clusters.collect::<Result<Vec<_>>>()?;
        let bootstrap = with_clusters(&listeners.collect::<Vec<_>>(), &clusters);
        let egress = start("egress", Core::Envoy, &bootstrap)?;
        Ok(Self {
            egress,
            ingress,
            _service: service,
        })
    }

    /// Where applications connect.
    ///
    /// # Errors
    /// When there is no such listener.
    pub fn address(&self, kind: Kind) -> Result<SocketAddr> {
        self.egress.address(&kind.name())
    }

    /// How long the workers of both sidecars have run on their core.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn cpu_time(&self) -> Result<Duration> {
        Ok(self.egress.worker.cpu_time()? + self.ingress.worker.cpu_time()?)
    }

    /// How many proofs were signed.
    ///
    /// # Errors
    /// When Envoy does not answer, or a proof was refused.
    pub fn signatures(&self) -> Result<u64> {
        match self.ingress.stat("session_binding.refused.")? {
            0 => self.egress.stat("proofs.made"),
            refused => Err(format!("{refused} proofs were refused").into()),
        }
    }

    /// How many connections between the sidecars carried proofs.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub fn connections(&self) -> Result<u64> {
        let proving = Kind::all().filter(|kind| kind.has_prover());
        proving
            .map(|kind| {
                let total = format!("cluster.{}.upstream_cx_total", kind.name());
                self.egress.stat(&total)
            })
            .sum()
    }
}

pub(super) fn to(cluster: &str) -> Value {
    json!({ "route": { "cluster": cluster, "host_rewrite_literal": SERVICE } })
}

pub(super) fn in_the_clear(name: &str, action: &Value) -> Value {
    json!({
        "name": name,
        "address": loopback(),
        "filter_chains": [{ "filters": [connection_manager(&[], action)] }],
    })
}

fn ingress_listener(kind: Kind, files: &Path) -> Value {
    let mut network = Vec::new();
    let mut http = vec![jwt_authn(files, Jwt::Plain)];
    // All kinds share one VM, as they would share one configuration.
    match kind.extra {
        Extra::Nothing => {}
        Extra::Reading => http.push(wasm("reader", READER, &json!({}))),
        Extra::Binding => {
            network.push(purge("ours"));
            http.push(wasm("ours", OURS, &json!({})));
        }
    }
    network.push(publish());
    network.push(connection_manager(&http, &to("service")));
    json!({
        "name": kind.name(),
        "address": loopback(),
        "filter_chains": [{
            "transport_socket": transport_socket(Socket::Module, files),
            "filters": network,
        }],
    })
}

/// `socket` may be nothing, and `filters` none.
pub(super) fn cluster(
    name: &str,
    address: SocketAddr,
    protocol: Protocol,
    socket: &Value,
    filters: &[Value],
) -> Value {
    let http = match protocol {
        Protocol::Http1 => "http_protocol_options",
        Protocol::Http2 => "http2_protocol_options",
    };
    let address = json!({ "address": "127.0.0.1", "port_value": address.port() });
    json!({
        "name": name,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "socket_address": address } } }] }],
        },
        "transport_socket": socket,
        "typed_extension_protocol_options": { OPTIONS: {
            "@type": format!("type.googleapis.com/{OPTIONS}"),
            "explicit_http_config": { http: {} },
            "http_filters": filters,
        } },
    })
}

fn egress_cluster(kind: Kind, files: &Path, ingress: SocketAddr) -> Value {
    let pki = |name: &str| files.join("pki").join(name);
    let alpn = std::str::from_utf8(kind.way.between.alpn()).unwrap_or_default();
    let configuration = json!({
        "identity": { "certificate_chain": pki("client.pem"), "private_key": pki("client.key") },
        "peer": { "ca": pki("ca.pem"), "server_name": SERVICE },
        "tls": { "versions": ["1.3"], "alpn": [alpn] },
    });
    let filters = if kind.has_prover() {
        vec![prover(&json!({})), codec()]
    } else {
        vec![codec()]
    };
    let socket = module_socket(&configuration);
    cluster(&kind.name(), ingress, kind.way.between, &socket, &filters)
}

pub(super) fn prover(configuration: &Value) -> Value {
    json!({
        "name": "prover",
        "typed_config": {
            "@type": format!("{HTTP}.dynamic_modules.v3.DynamicModuleFilter"),
            "dynamic_module_config": module(),
            "filter_name": "prover",
            "filter_config": { "@type": STRING, "value": configuration.to_string() },
        },
    })
}

pub(super) fn codec() -> Value {
    json!({
        "name": "codec",
        "typed_config": { "@type": format!("{HTTP}.upstream_codec.v3.UpstreamCodec") },
    })
}
