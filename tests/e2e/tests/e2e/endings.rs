//! Servers that end a connection as TLS does not want it (M1, M2): what is complete by its own framing passes, and
//! what only the end of the connection could vouch for does not.

use std::process::Stdio;
use std::time::Duration;

use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::ask::{Present, get};
use tls_session_binding_e2e::stack::{Beside, Bootstrap, Stack};
use tls_session_binding_e2e::{Result, root};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::chain::{egress, egress_http1, send};
use crate::counts::settled;

const BODY: &str = "0123456789";
/// Ways to end without `close_notify`.
const BAD_ENDS: [&str; 3] = ["fin", "reset", "forged"];
/// Each case is tried so often: data and end must not race.
const TIMES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(20);

/// Python's server with the service's certificate, which ends when this is dropped.
struct ForeignServer {
    port: u16,
    _process: Child,
}

impl ForeignServer {
    async fn start(stack: &Stack, arguments: &[&str]) -> Result<Self> {
        let file = |name: &str| stack.pki().join(name);
        let mut process = Command::new("python3")
            .arg(root().join("tests/e2e/foreign_server.py"))
            .args([file("server.pem"), file("server.key"), file("ca.pem")])
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        let mut output = BufReader::new(output);
        tokio::time::timeout(PATIENCE, output.read_line(&mut line)).await??;
        Ok(Self {
            port: line.trim().parse()?,
            _process: process,
        })
    }
}

/// A sidecar in front of the foreign server.
async fn sidecar(stack: &Stack, name: &str, bootstrap: Bootstrap, port: u16) -> Result<Beside> {
    let bootstrap = bootstrap.with("port_value: 8443 ", &format!("port_value: {port} "));
    stack
        .beside(name, "egress", &bootstrap, stack.address)
        .await
}

/// The same cluster with Envoy's own TLS.
fn stock(bootstrap: &Bootstrap, alpn: &str) -> Result<Bootstrap> {
    let text = bootstrap.as_str();
    let (_, rest) = text
        .split_once("      transport_socket:\n")
        .ok_or("no socket")?;
    let (socket, _) = rest
        .split_once("      typed_extension_protocol_options:\n")
        .ok_or("no options")?;
    let own = format!(
        r#"        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          sni: service.demo
          common_tls_context:
            alpn_protocols: [{alpn}]
            tls_certificates:
              - certificate_chain: {{ filename: target/demo/pki/client.pem }}
                private_key: {{ filename: target/demo/pki/client.key }}
            validation_context: {{ trusted_ca: {{ filename: target/demo/pki/ca.pem }} }}
"#
    );
    let prover = text
        .split_once("            - name: tls_session_binding_prover\n")
        .and_then(|(_, rest)| {
            rest.split_once("            - name: envoy.filters.http.upstream_codec")
        })
        .map(|(prover, _)| format!("            - name: tls_session_binding_prover\n{prover}"))
        .ok_or("no prover")?;
    Ok(bootstrap.clone().with(socket, &own).with(&prover, ""))
}

/// The body that an application gets; `None` if its response is broken off, or is none.
async fn body(sidecar: &Beside, version: HttpVersion, path: &str) -> Option<String> {
    let request = get(path).token("a.b.c").empty();
    let answer = send(sidecar.address, version, request).await.ok()?;
    let body = String::from_utf8(answer.body().to_vec()).ok()?;
    (answer.status() == 200).then_some(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_is_complete_by_its_framing_passes_however_the_connection_ends()
-> Result<()> {
    let stack = Stack::ingress().await?;
    let server = ForeignServer::start(&stack, &[]).await?;
    let module = egress_http1()?;
    let own_tls = stock(&module, "http/1.1")?;
    let module = sidecar(&stack, "module", module, server.port).await?;
    let own_tls = sidecar(&stack, "stock", own_tls, server.port).await?;
    let whole = Some(BODY.repeat(10));
    let mut lost = 0;
    for framing in ["length", "chunked"] {
        for end in BAD_ENDS.into_iter().chain(["notify"]) {
            let path = format!("/{framing}/{end}");
            for version in [HttpVersion::Http1, HttpVersion::Http2] {
                for _ in 0..TIMES {
                    let body = body(&module, version, &path).await;
                    // After a reset the kernel may throw away what nobody has read yet: nothing, never a part.
                    let thrown_away = end == "reset" && body.is_none();
                    assert!(thrown_away || body == whole, "{path}: {body:?}");
                    lost += u64::from(thrown_away);
                }
                // Envoy's own socket may throw away more.
                if end != "reset" {
                    assert_eq!(body(&own_tls, version, &path).await, whole, "{path}");
                }
            }
        }
    }
    assert_eq!(
        body(&module, HttpVersion::Http1, "/close/notify").await,
        whole
    );
    assert!(settled(&module.envoy, "responses.truncated").await? <= lost);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_ends_with_its_connection_is_broken_off_unless_close_notify_ended_it()
-> Result<()> {
    let stack = Stack::ingress().await?;
    let server = ForeignServer::start(&stack, &[]).await?;
    let sidecar = sidecar(&stack, "module", egress_http1()?, server.port).await?;
    let mut truncated = 0;
    for end in BAD_ENDS {
        for half in ["", "/half"] {
            for version in [HttpVersion::Http1, HttpVersion::Http2] {
                let path = format!("{half}/close/{end}");
                assert_eq!(body(&sidecar, version, &path).await, None, "{path}");
                truncated += 1;
            }
        }
    }
    assert_eq!(
        settled(&sidecar.envoy, "responses.truncated").await?,
        truncated
    );
    // Half of a framed response is none, whatever the end.
    for framing in ["length", "chunked"] {
        for end in BAD_ENDS.into_iter().chain(["notify"]) {
            let path = format!("/half/{framing}/{end}");
            assert_eq!(
                body(&sidecar, HttpVersion::Http1, &path).await,
                None,
                "{path}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_the_end_of_the_stream_counts_and_not_that_of_the_connection() -> Result<()> {
    let stack = Stack::ingress().await?;
    for end in BAD_ENDS.into_iter().chain(["notify"]) {
        for half in [false, true] {
            let arguments: &[&str] = if half { &[end, "half"] } else { &[end] };
            let server = ForeignServer::start(&stack, arguments).await?;
            let name = format!("module-{end}-{half}");
            let sidecar = sidecar(&stack, &name, egress()?, server.port).await?;
            let expected = (!half).then(|| BODY.repeat(10));
            for version in [HttpVersion::Http1, HttpVersion::Http2] {
                assert_eq!(body(&sidecar, version, "/").await, expected, "{end} {half}");
            }
        }
    }
    Ok(())
}
