//! Three Envoys: the application's sidecar and the service's on one core, the service on the load's.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::SERVICE;

use crate::bootstrap::{
    HTTP, OURS, STRING, Socket, connection_manager, jwt_authn, loopback, module, module_socket,
    publish, purge, transport_socket, wasm, with_clusters, with_listeners,
};
use crate::load::Protocol;
use crate::machine::Core;
use crate::proxy::{Credentials, Proxy};

const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// One way through both sidecars.
#[derive(Debug)]
pub struct Kind {
    /// Its name in the results, and of its listeners and clusters.
    pub name: &'static str,
    /// What is spoken on all ways.
    pub protocol: Protocol,
    /// Whether there are prover and filter.
    pub binding: bool,
    /// Whether the service's sidecar verifies tokens, as it should.
    tokens: bool,
}

/// All ways. The last two show what is left when nobody verifies tokens.
pub const KINDS: [Kind; 6] = [
    kind("sidecars_plain_h1", Protocol::Http1, false, true),
    kind("sidecars_binding_h1", Protocol::Http1, true, true),
    kind("sidecars_plain_h2", Protocol::Http2, false, true),
    kind("sidecars_binding_h2", Protocol::Http2, true, true),
    kind("sidecars_plain_h2_no_jwt", Protocol::Http2, false, false),
    kind("sidecars_binding_h2_no_jwt", Protocol::Http2, true, false),
];

const fn kind(name: &'static str, protocol: Protocol, binding: bool, tokens: bool) -> Kind {
    Kind {
        name,
        protocol,
        binding,
        tokens,
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

        let listeners = KINDS.iter().map(|kind| ingress_listener(kind, &files));
        let cluster = cluster(
            "service",
            service.address("service")?,
            Protocol::Http1,
            &Value::Null,
            &[codec()],
        );
        let bootstrap = with_clusters(&listeners.collect::<Vec<_>>(), &[cluster]);
        let ingress = start("ingress", Core::Envoy, &bootstrap)?;

        let listeners = KINDS
            .iter()
            .map(|kind| in_the_clear(kind.name, &to(kind.name)));
        let clusters = KINDS
            .iter()
            .map(|kind| Ok(egress_cluster(kind, &files, ingress.address(kind.name)?)));
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
    pub fn address(&self, kind: &Kind) -> Result<SocketAddr> {
        self.egress.address(kind.name)
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
        let binding = KINDS.iter().filter(|kind| kind.binding);
        binding
            .map(|kind| {
                self.egress
                    .stat(&format!("cluster.{}.upstream_cx_total", kind.name))
            })
            .sum()
    }
}

fn to(cluster: &str) -> Value {
    json!({ "route": { "cluster": cluster, "host_rewrite_literal": SERVICE } })
}

fn in_the_clear(name: &str, action: &Value) -> Value {
    json!({
        "name": name,
        "address": loopback(),
        "filter_chains": [{ "filters": [connection_manager(&[], action)] }],
    })
}

fn ingress_listener(kind: &Kind, files: &Path) -> Value {
    let mut network = Vec::new();
    let mut http = Vec::new();
    if kind.tokens {
        http.push(jwt_authn(files, false));
    }
    if kind.binding {
        // All kinds share one VM, as they would share one configuration.
        network.push(purge("ours"));
        http.push(wasm("ours", OURS, &json!({})));
    }
    network.push(publish());
    network.push(connection_manager(&http, &to("service")));
    json!({
        "name": kind.name,
        "address": loopback(),
        "filter_chains": [{
            "transport_socket": transport_socket(Socket::Module, files),
            "filters": network,
        }],
    })
}

/// `socket` may be nothing, and `filters` none.
fn cluster(
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

fn egress_cluster(kind: &Kind, files: &Path, ingress: SocketAddr) -> Value {
    let pki = |name: &str| files.join("pki").join(name);
    let alpn = std::str::from_utf8(kind.protocol.alpn()).unwrap_or_default();
    let configuration = json!({
        "identity": { "certificate_chain": pki("client.pem"), "private_key": pki("client.key") },
        "peer": { "ca": pki("ca.pem"), "server_name": SERVICE },
        "tls": { "versions": ["1.3"], "alpn": [alpn] },
    });
    let filters = if kind.binding {
        vec![prover(), codec()]
    } else {
        vec![codec()]
    };
    let socket = module_socket(&configuration);
    cluster(kind.name, ingress, kind.protocol, &socket, &filters)
}

fn prover() -> Value {
    json!({
        "name": "prover",
        "typed_config": {
            "@type": format!("{HTTP}.dynamic_modules.v3.DynamicModuleFilter"),
            "dynamic_module_config": module(),
            "filter_name": "prover",
            "filter_config": { "@type": STRING, "value": "{}" },
        },
    })
}

fn codec() -> Value {
    json!({
        "name": "codec",
        "typed_config": { "@type": format!("{HTTP}.upstream_codec.v3.UpstreamCodec") },
    })
}
