//! An Envoy with a listener for each configuration of the filter, and connections to it.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tls_session_binding_e2e::envoy::Envoy;
use tls_session_binding_e2e::upstream::Upstream;
use tls_session_binding_wasm_tests::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::common::judge::Situation;

const PATIENCE: Duration = Duration::from_secs(5);

const LISTENER: &str = r#"
    - name: NAME
      address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: NAME
                scheme_header_transformation: { scheme_to_overwrite: https }
                route_config: { virtual_hosts: [{ name: service, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: service } }] }] }
                http_filters:
                  - name: envoy.filters.http.set_filter_state
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config
                      on_request_headers:
                        - { object_key: tls_session_binding.exporter, factory_key: envoy.string, skip_if_empty: true, format_string: { omit_empty_values: true, text_format_source: { inline_string: "%REQ(x-exporter)%" } } }
                        - { object_key: tls_session_binding.client_certificate, factory_key: envoy.string, skip_if_empty: true, format_string: { omit_empty_values: true, text_format_source: { inline_string: "%REQ(x-certificate)%" } } }
                  - name: tls_session_binding
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        name: NAME
                        vm_config: { vm_id: catalogue, runtime: envoy.wasm.runtime.v8, code: { local: { filename: target/wasm32-wasip1/release/tls_session_binding.wasm } } }
                        configuration: { "@type": type.googleapis.com/google.protobuf.StringValue, value: CONFIGURATION }
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"#;

const BOOTSTRAP: &str = r"
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
static_resources:
  clusters:
    - name: service
      load_assignment: { cluster_name: service, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: SERVICE } } } }] }] }
  listeners:
";

pub(crate) struct Stage {
    envoy: Envoy,
    service: Upstream,
    listeners: BTreeMap<Vec<u8>, SocketAddr>,
    _directory: TempDir,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The error code of the challenge.
    pub(crate) error: Option<String>,
    /// Whether the service saw the request.
    pub(crate) arrived: bool,
}

/// The connections of a case by the numbers that it gives them.
pub(crate) type Connections = BTreeMap<u64, TcpStream>;

impl Stage {
    pub(crate) async fn start(configurations: BTreeSet<Vec<u8>>) -> Result<Self> {
        let directory = TempDir::new()?;
        let service = Upstream::start(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let mut bootstrap = BOOTSTRAP.replace("SERVICE", &service.address.port().to_string());
        for (number, configuration) in configurations.iter().enumerate() {
            // A JSON string is a YAML string.
            let text = serde_json::to_string(std::str::from_utf8(configuration)?)?;
            bootstrap += &LISTENER
                .replace("NAME", &name(number))
                .replace("CONFIGURATION", &text);
        }
        let envoy = Envoy::start(&bootstrap, directory.path()).await?;
        let mut listeners = BTreeMap::new();
        for (number, configuration) in configurations.into_iter().enumerate() {
            listeners.insert(configuration, envoy.listener(&name(number)).await?);
        }
        Ok(Self {
            envoy,
            service,
            listeners,
            _directory: directory,
        })
    }

    pub(crate) async fn ask(
        &self,
        connections: &mut Connections,
        situation: &Situation,
    ) -> Result<Answer> {
        let before = self.service.requests();
        let address = self.listeners[&situation.config];
        let stream = match connections.entry(situation.connection_id) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(none) => none.insert(TcpStream::connect(address).await?),
        };
        stream.write_all(&request(situation)).await?;
        let head =
            tokio::time::timeout(PATIENCE, read(stream, situation.method == b"HEAD")).await??;
        let status = head.get(9..12).ok_or("no answer")?.parse()?;
        let error = head
            .split_once("error=\"")
            .and_then(|(_, rest)| rest.split_once('"'));
        let error = error.map(|(error, _)| error.to_owned());
        Ok(Answer {
            status,
            error,
            arrived: self.service.requests() > before,
        })
    }

    /// Nothing that was asked ended the filter.
    pub(crate) async fn is_unharmed(&self) -> Result<()> {
        assert_eq!(self.envoy.stat("vm_reload").await?, 0);
        assert!(
            !self.envoy.log().contains("panicked"),
            "{}",
            self.envoy.log()
        );
        Ok(())
    }
}

fn name(number: usize) -> String {
    format!("catalogue-{number}-")
}

fn request(situation: &Situation) -> Vec<u8> {
    let mut request = [
        &situation.method[..],
        b" ",
        &situation.path,
        b" HTTP/1.1\r\n",
    ]
    .concat();
    let single = [
        ("Host", &situation.authority),
        ("X-Exporter", &situation.exporter),
        ("X-Certificate", &situation.certificate),
    ];
    let tokens = situation
        .authorization
        .iter()
        .map(|value| ("Authorization", value));
    let proofs = situation
        .proof
        .iter()
        .map(|value| ("Session-Binding-Proof", value));
    let others = situation
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value));
    for (name, value) in single.into_iter().chain(tokens).chain(proofs).chain(others) {
        request.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    request
}

/// The head of a response, and its body out of the way of the next.
async fn read(stream: &mut TcpStream, is_head: bool) -> Result<String> {
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(Ok(0), str::parse)?;
            if is_head || body.len() >= length {
                return Ok(head.to_owned());
            }
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Ok(text);
        }
    }
}
