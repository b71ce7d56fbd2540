//! What the module's README promises of its three extensions, in a real Envoy.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tls_session_binding_e2e::ask::{Outcome, Present, get};
use tls_session_binding_e2e::stack::{Bootstrap, Stack};
use tls_session_binding_e2e::{Result, modules, now, root};
use tokio::net::TcpListener;

use crate::chain::{Chain, egress, egress_http1};
use crate::counts::settled;
use crate::vocabulary::{HTTP1, Passed, token, try_proof};

/// Envoy writes its access log at intervals.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// The shipped listener with the README's examples in it, and the facts in its access log.
fn ingress_of_the_readme() -> Result<Bootstrap> {
    let readme = std::fs::read_to_string(root().join("envoy/module/README.md"))?;
    let between = |from: &str, to: &str| {
        let (_, rest) = readme.split_once(from)?;
        Some(rest.split_once(to)?.0.to_owned())
    };
    let missing = "the README has no such example";
    let headers = between("route_config:\n", "# RBAC").ok_or(missing)?;
    let principals = between("principals:\n", "```").ok_or(missing)?;
    let indented = |text: &str, by: usize| {
        let lines = text.trim_end().lines();
        lines.fold(String::new(), |all, line| {
            format!("{all}{:by$}{line}\n", "")
        })
    };
    let rbac = format!(
        r#"                  - name: envoy.filters.http.rbac
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
                      rules:
                        policies:
                          agents:
                            permissions: [{{ any: true }}]
                            principals:
{}"#,
        indented(&principals, 28)
    );
    let facts = [
        "tls_version",
        "cipher_suite",
        "server_name",
        "resumed",
        "spiffe_id",
        "subject",
    ];
    let logged = facts.map(|fact| format!("%FILTER_STATE(tls_session_binding.{fact}:PLAIN)%"));
    let router = "                  - name: envoy.filters.http.router\n";
    Ok(Bootstrap::shipped("ingress.yaml")?
        .with(
            "                route_config:\n",
            &format!("                route_config:\n{}", indented(&headers, 16)),
        )
        .with(router, &format!("{rbac}{router}"))
        .with(
            "%PROTOCOL% %REQ(:METHOD)% %PATH(NQ:PATH)%",
            &format!("facts {} end %REQ(:METHOD)%", logged.join(" ")),
        ))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_facts_of_a_connection_decide_are_logged_and_reach_the_service() -> Result<()> {
    let stack = Stack::start(&ingress_of_the_readme()?).await?;
    let agent = stack.party("client", HTTP1)?;
    for _ in 0..2 {
        let connection = agent.connect().await?;
        let token = token(&stack, &agent)?;
        let proof = agent.proof(&token, connection.exporter())?;
        let request = get("/orders").token(&token).proof(&proof).header(
            "x-forwarded-client-cert",
            "Hash=00;URI=spiffe://demo/forged",
        );
        let answer = connection.send_as_is(request.empty()).await?;
        let seen: Value = serde_json::from_slice(answer.body())?;
        let forwarded = seen["headers"]["x-forwarded-client-cert"].to_string();
        assert!(
            forwarded.contains(";URI=spiffe://demo/agent") && !forwarded.contains("forged"),
            "{seen}"
        );
        assert_eq!(seen["headers"]["x-forwarded-proto"], "https");
    }
    let other = stack.party("client-rsa", HTTP1)?;
    let connection = other.connect().await?;
    let token = token(&stack, &other)?;
    let proof = other.proof(&token, connection.exporter())?;
    let outcome = try_proof(&stack, &connection, &token, &proof).await?;
    assert_eq!(outcome, Outcome::Status(403));

    let start = "facts TLSv1.3 TLS13_AES_128_GCM_SHA256 service.demo";
    for line in [
        format!("{start} false spiffe://demo/agent CN=client end GET 200"),
        format!("{start} true spiffe://demo/agent CN=client end GET 200"),
        format!("{start} false spiffe://demo/agent-rsa CN=client-rsa end GET 403"),
    ] {
        logged(&stack, &line).await?;
    }
    let count = |name: &'static str| settled(&stack.envoy, name);
    assert_eq!(count("downstream.handshakes_resumed").await?, 1);
    assert!(count("downstream.certificate_expires_at").await? > now());
    Ok(())
}

async fn logged(stack: &Stack, line: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !stack.envoy.log().contains(line) {
        if Instant::now() > deadline {
            return Err(format!("no `{line}` in\n{}", stack.envoy.log()).into());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_ask_for_a_proof_per_request() -> Result<()> {
    let own = r#"                        - match: { prefix: /payments }
                          typed_per_filter_config:
                            tls_session_binding_prover:
                              "@type": type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilterPerRoute
                              dynamic_module_config: { name: tls_session_binding_module, do_not_close: true }
                              per_route_config_name: prover
                              filter_config:
                                "@type": type.googleapis.com/google.protobuf.StringValue
                                value: '{"claims": ["htm", "htu", "jti"]}'
                          route: { cluster: service, host_rewrite_literal: service.demo }
"#;
    let other = "                        - match: { prefix: / }\n";
    for bootstrap in [egress()?, egress_http1()?] {
        let chain = Chain::start(bootstrap.with(other, &format!("{own}{other}"))).await?;
        let token = chain.token("alice")?;
        // How many proofs are made for three requests.
        let mut made = Vec::new();
        for path in ["/orders", "/payments/7?x=y"] {
            let before = settled(&chain.egress.envoy, "proofs.made").await?;
            for _ in 0..3 {
                let outcome = chain.outcome(get(path).token(&token)).await?;
                assert_eq!(outcome, Passed, "{path}");
            }
            made.push(settled(&chain.egress.envoy, "proofs.made").await? - before);
        }
        // One for each worker's connection at most; one for each request.
        assert!(matches!(made[..], [1 | 2, 3]), "{made:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_resumes_its_sessions_and_proves_on_each_connection_anew() -> Result<()> {
    for bootstrap in [egress()?, egress_http1()?] {
        let one_by_one = ("600s }", "600s, max_requests_per_connection: 1 }");
        let chain = Chain::start(bootstrap.with(one_by_one.0, one_by_one.1)).await?;
        let token = chain.token("alice")?;
        for _ in 0..4 {
            let outcome = chain.outcome(get("/orders").token(&token)).await?;
            assert_eq!(outcome, Passed);
        }
        let (egress, ingress) = (&chain.egress.envoy, &chain.stack.envoy);
        assert_eq!(settled(egress, "proofs.made").await?, 4);
        let resumed = egress.stat("upstream.handshakes_resumed").await?;
        assert!(resumed > 0);
        let seen = settled(ingress, "downstream.handshakes_resumed").await?;
        assert_eq!(seen, resumed);
    }
    Ok(())
}

/// P05
#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_no_longer_than_configured() -> Result<()> {
    // Connections to it are made, and no handshake is ever answered.
    let silent = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let port = format!("port_value: {} ", silent.local_addr()?.port());
    for bootstrap in [egress()?, egress_http1()?] {
        let stack = Stack::ingress().await?;
        let bootstrap = bootstrap
            .with("port_value: 8443 ", &port)
            .with("connect_timeout: 2s", "connect_timeout: 60s")
            .with(r#"value: "{}""#, r#"value: '{"max_wait": "1s"}'"#);
        let nowhere = stack.address;
        let egress = stack
            .beside("egress", "egress", &bootstrap, nowhere)
            .await?;
        let chain = Chain { stack, egress };
        let request = get("/orders").token(&chain.token("alice")?);
        assert_eq!(chain.outcome(request).await?, Outcome::Status(503));
        let envoy = &chain.egress.envoy;
        assert_eq!(settled(envoy, "waits.expired").await?, 1);
        assert_eq!(envoy.stat("waits.begun").await?, 1);
    }
    Ok(())
}

/// A distroless image has the C library and nothing else.
#[test]
fn the_module_needs_no_library_but_that_of_c() -> Result<()> {
    let file = modules().join("libtls_session_binding_module.so");
    let module = std::fs::read(file)?;
    let names = |name: &[u8]| module.windows(name.len()).any(|part| part == name);
    assert!(names(b"libc.so.6"));
    for other in [b"libgcc_s.so".as_slice(), b"libstdc++.so", b"libm.so"] {
        assert!(!names(other), "{}", String::from_utf8_lossy(other));
    }
    Ok(())
}

/// Envoy lets a later filter replace the value, also one that calls itself read-only.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_filter_set_before_is_replaced_by_the_facts_of_the_handshake() -> Result<()> {
    let publish = "            - name: tls_session_binding_publish\n";
    let usurper = r#"            - name: envoy.filters.network.set_filter_state
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config
                on_new_connection:
                  - object_key: tls_session_binding.exporter
                    factory_key: envoy.string
                    read_only: true
                    format_string: { text_format_source: { inline_string: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA } }
"#;
    let bootstrap = Bootstrap::shipped("ingress.yaml")?;
    let stack = Stack::start(&bootstrap.with(publish, &format!("{usurper}{publish}"))).await?;
    let party = stack.party("client", HTTP1)?;
    let token = token(&stack, &party)?;
    let connection = party.connect().await?;
    let proof = party.proof(&token, connection.exporter())?;
    assert_eq!(
        try_proof(&stack, &connection, &token, &proof).await?,
        Passed
    );
    let closed = settled(&stack.envoy, "connections.unpublished").await?;
    assert_eq!(closed, 0);
    Ok(())
}
