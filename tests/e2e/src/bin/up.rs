//! Runs the stack of `envoy/ingress.yaml` in the foreground, with the files in `target/demo`.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::process::ExitCode;

use tls_session_binding_client::dev::authorization_server::AuthorizationServerKey;
use tls_session_binding_client::dev::pki;
use tls_session_binding_e2e::envoy::Envoy;
use tls_session_binding_e2e::stack::Bootstrap;
use tls_session_binding_e2e::upstream::Upstream;
use tls_session_binding_e2e::{Result, root};

const UPSTREAM: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

const READY: &str = r#"
Envoy serves https://127.0.0.1:8443 (mutual TLS), administration on http://127.0.0.1:9901. Ctrl-C ends it.
Try, in another terminal, in this directory:

  TOKEN=$(target/debug/session-binding token --key target/demo/as/key.pem --cert target/demo/pki/client.pem \
    --issuer https://as.demo --audience https://service.demo --subject alice)

  target/debug/session-binding request https://127.0.0.1:8443/orders --cacert target/demo/pki/ca.pem \
    --cert target/demo/pki/client.pem --key target/demo/pki/client.key --token "$TOKEN" --repeat 2 --verbose

  curl --cacert target/demo/pki/ca.pem --cert target/demo/pki/client.pem --key target/demo/pki/client.key \
    --header "Authorization: Bearer $TOKEN" --include https://127.0.0.1:8443/orders
"#;

#[tokio::main]
async fn main() -> ExitCode {
    match up().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn up() -> Result<()> {
    let demo = root().join("target/demo");
    pki::ensure(&demo.join("pki"), false)?;
    AuthorizationServerKey::ensure(&demo.join("as"), false)?;
    let _upstream = Upstream::start(UPSTREAM)
        .await
        .map_err(|error| format!("the echo service cannot listen on {UPSTREAM}: {error}"))?;
    let bootstrap = Bootstrap::shipped("ingress.yaml")?;
    let mut envoy = Envoy::start(bootstrap.as_str(), &demo).await?;
    println!("{READY}");
    envoy.follow().await
}
