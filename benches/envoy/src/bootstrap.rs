//! Envoy's configuration: listeners that differ in one filter, or in who terminates TLS. Envoy answers
//! itself, there is no service behind it.

use std::path::Path;

use serde_json::{Value, json};
use tls_session_binding_e2e::party::{AUDIENCE, ISSUER};

pub(crate) const HTTP: &str = "type.googleapis.com/envoy.extensions.filters.http";
const NETWORK: &str = "type.googleapis.com/envoy.extensions.filters.network";
const SOCKETS: &str = "type.googleapis.com/envoy.extensions.transport_sockets";
pub(crate) const STRING: &str = "type.googleapis.com/google.protobuf.StringValue";

/// The filter that is measured.
pub const OURS: &str = "target/wasm32-wasip1/release/tls_session_binding.wasm";
/// The Wasm filter that does nothing.
pub const EMPTY: &str = "target/wasm32-wasip1/release/examples/empty.wasm";
/// The Wasm filter that reads what ours reads on a hit.
pub const READER: &str = "target/wasm32-wasip1/release/examples/reader.wasm";

/// Who terminates TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socket {
    /// The native module, which publishes the exporter value.
    Module,
    /// Envoy's own transport socket.
    BoringSsl,
}

/// A bootstrap with these listeners.
#[must_use]
pub fn with_listeners(listeners: &[Value]) -> String {
    with_clusters(listeners, &[])
}

/// A bootstrap with these listeners and clusters.
#[must_use]
pub fn with_clusters(listeners: &[Value], clusters: &[Value]) -> String {
    json!({
        "admin": { "address": loopback() },
        "static_resources": { "listeners": listeners, "clusters": clusters },
    })
    .to_string()
}

/// A bootstrap whose listeners are in a file that may change.
#[must_use]
pub fn watching(listeners: &Path) -> String {
    json!({
        "admin": { "address": loopback() },
        "node": { "id": "benchmark", "cluster": "benchmark" },
        "dynamic_resources": { "lds_config": {
            "resource_api_version": "V3",
            "path_config_source": { "path": listeners },
        } },
    })
    .to_string()
}

/// A listener on a free port. `files` holds certificates and keys.
#[must_use]
pub fn listener(
    name: &str,
    files: &Path,
    socket: Socket,
    network_filters: &[Value],
    http_filters: &[Value],
) -> Value {
    let answer = json!({ "direct_response": { "status": 200 } });
    let publish = match socket {
        Socket::Module => Some(publish()),
        Socket::BoringSsl => None,
    };
    let filters: Vec<Value> = publish
        .into_iter()
        .chain(network_filters.iter().cloned())
        .chain([connection_manager(http_filters, &answer)])
        .collect();
    json!({
        "name": name,
        "address": loopback(),
        "filter_chains": [{
            "transport_socket": transport_socket(socket, files),
            "filters": filters,
        }],
    })
}

/// A Wasm HTTP filter with a VM of its own.
#[must_use]
pub fn wasm(vm: &str, code: &str, configuration: &Value) -> Value {
    json!({
        "name": vm,
        "typed_config": {
            "@type": format!("{HTTP}.wasm.v3.Wasm"),
            "config": plugin(vm, code, configuration),
        },
    })
}

/// The network filter that drops a connection's bindings, in the VM of the HTTP filter `vm`.
#[must_use]
pub fn purge(vm: &str) -> Value {
    json!({
        "name": "purge",
        "typed_config": {
            "@type": format!("{NETWORK}.wasm.v3.Wasm"),
            "config": plugin(vm, OURS, &json!({ "role": "purge" })),
        },
    })
}

/// What Envoy's own filter for tokens does beside verifying them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jwt {
    /// Nothing.
    Plain,
    /// It remembers what it verified.
    Cached,
    /// It remembers, and publishes the claims.
    Published,
}

/// Where [`Jwt::Published`] keeps the claims.
pub const CLAIMS: [&str; 4] = [
    "metadata",
    "filter_metadata",
    "envoy.filters.http.jwt_authn",
    "payload",
];

/// Envoy's own filter for tokens.
#[must_use]
pub fn jwt_authn(files: &Path, jwt: Jwt) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": { "filename": files.join("as/jwks.json") },
        "forward": true,
    });
    let cache = ("jwt_cache_config", json!({ "jwt_cache_size": 1000 }));
    let publish = ("payload_in_metadata", json!("payload"));
    let further = match jwt {
        Jwt::Plain => vec![],
        Jwt::Cached => vec![cache],
        Jwt::Published => vec![cache, publish],
    };
    if let Some(provider) = provider.as_object_mut() {
        provider.extend(
            further
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value)),
        );
    }
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": format!("{HTTP}.jwt_authn.v3.JwtAuthentication"),
            "providers": { "issuer": provider },
            "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "issuer" } }],
        },
    })
}

fn plugin(vm: &str, code: &str, configuration: &Value) -> Value {
    json!({
        "name": vm,
        "vm_config": {
            "vm_id": vm,
            "runtime": "envoy.wasm.runtime.v8",
            "code": { "local": { "filename": code } },
        },
        "configuration": { "@type": STRING, "value": configuration.to_string() },
    })
}

pub(crate) fn loopback() -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } })
}

pub(crate) fn module() -> Value {
    json!({ "name": "tls_session_binding_module", "do_not_close": true })
}

pub(crate) fn publish() -> Value {
    json!({
        "name": "publish",
        "typed_config": {
            "@type": format!("{NETWORK}.dynamic_modules.v3.DynamicModuleNetworkFilter"),
            "dynamic_module_config": module(),
            "filter_name": "publish",
        },
    })
}

pub(crate) fn transport_socket(socket: Socket, files: &Path) -> Value {
    let pki = |name: &str| files.join("pki").join(name);
    let (certificate, key, authority) = (pki("server.pem"), pki("server.key"), pki("ca.pem"));
    match socket {
        Socket::Module => {
            let configuration = json!({
                "identity": { "certificate_chain": certificate, "private_key": key },
                "peer": { "ca": authority },
            });
            module_socket(&configuration)
        }
        Socket::BoringSsl => json!({
            "name": "tls",
            "typed_config": {
                "@type": format!("{SOCKETS}.tls.v3.DownstreamTlsContext"),
                "require_client_certificate": true,
                "common_tls_context": {
                    "alpn_protocols": ["h2", "http/1.1"],
                    "tls_params": {
                        "tls_minimum_protocol_version": "TLSv1_3",
                        "tls_maximum_protocol_version": "TLSv1_3",
                    },
                    "tls_certificates": [{
                        "certificate_chain": { "filename": certificate },
                        "private_key": { "filename": key },
                    }],
                    "validation_context": { "trusted_ca": { "filename": authority } },
                },
            },
        }),
    }
}

pub(crate) fn module_socket(configuration: &Value) -> Value {
    json!({
        "name": "module",
        "typed_config": {
            "@type": format!("{SOCKETS}.dynamic_modules.v3.DynamicModuleTransportSocket"),
            "dynamic_module_config": module(),
            "transport_socket_name": "tls",
            "transport_socket_config": { "@type": STRING, "value": configuration.to_string() },
            "implements_secure_transport": true,
        },
    })
}

/// An HTTP connection manager; `action` is what becomes of every request.
pub(crate) fn connection_manager(http_filters: &[Value], action: &Value) -> Value {
    let mut route = json!({ "match": { "prefix": "/" } });
    if let (Some(route), Some(action)) = (route.as_object_mut(), action.as_object()) {
        route.extend(action.clone());
    }
    let router = json!({
        "name": "router",
        "typed_config": { "@type": format!("{HTTP}.router.v3.Router") },
    });
    let filters: Vec<&Value> = http_filters.iter().chain([&router]).collect();
    json!({
        "name": "http",
        "typed_config": {
            "@type": format!("{NETWORK}.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "benchmark",
            "codec_type": "AUTO",
            "use_remote_address": true,
            "normalize_path": true,
            "scheme_header_transformation": { "scheme_to_overwrite": "https" },
            "http_filters": filters,
            "route_config": { "virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": [route],
            }] },
        },
    })
}
