//! Application, its sidecar, the service's sidecar, service: the application knows its token and nothing else.

use http::Request;
use serde_json::Value;
use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::application::Application;
use tls_session_binding_e2e::ask::{Outcome, Present, get, present};
use tls_session_binding_e2e::stack::{Bootstrap, FILTER, Files, Stack};
use tls_session_binding_e2e::{Result, root};
use tokio::process::Command;

use crate::chain::{Chain, egress, egress_http1, send};
use crate::counts::settled;
use crate::vocabulary::{HTTP2, Passed, refused, token};

/// The line of the shipped file that holds the prover's configuration.
const PROVER: &str = r#"value: "{}""#;
/// Prints the status of a GET with a token: the standard library, and nothing else.
const PYTHON: &str = "
import http.client, sys
connection = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=10)
for _ in range(2):
    connection.request('GET', '/orders', headers={'Authorization': 'Bearer ' + sys.argv[2]})
    answer = connection.getresponse()
    answer.read()
    print(answer.status)
";

#[tokio::test(flavor = "multi_thread")]
async fn any_http_client_gets_through_both_sidecars_with_nothing_but_its_token() -> Result<()> {
    for bootstrap in [egress()?, egress_http1()?] {
        let chain = Chain::start(bootstrap).await?;
        let token = chain.token("alice")?;
        for version in [HttpVersion::Http1, HttpVersion::Http2] {
            let answer = chain.send(version, present(&token, None)).await?;
            assert_eq!(Outcome::of(&answer), Passed, "{version:?}");
            let seen: Value = serde_json::from_slice(answer.body())?;
            assert_eq!(seen["path"], "/orders");
            assert_eq!(seen["headers"]["session-binding-proof"], Value::Null);
        }
        let port = chain.egress.address.port();
        let url = format!("http://127.0.0.1:{port}/orders");
        let header = format!("authorization: Bearer {token}");
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let curl = [
                version,
                "--silent",
                "--max-time",
                "10",
                "--output",
                "/dev/null",
            ];
            let curl = curl
                .iter()
                .chain(&["--write-out", "%{http_code}", "--header"]);
            let printed = run("curl", curl.copied().chain([header.as_str(), &url])).await?;
            assert_eq!(printed, "200", "curl {version}");
        }
        let python = root().join("target/envoy/bin/python3");
        let arguments = ["-c", PYTHON, &port.to_string(), &token].map(str::to_owned);
        let printed = run(
            &python.to_string_lossy(),
            arguments.iter().map(String::as_str),
        )
        .await?;
        assert_eq!(printed, "200\n200\n", "Python");
        assert_eq!(chain.stack.upstream.requests(), 6);
    }
    Ok(())
}

/// What a program prints.
async fn run(program: &str, arguments: impl Iterator<Item = &str>) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("{program}: {error}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn p01_the_applications_own_proof_is_removed_and_the_sidecars_sent() -> Result<()> {
    for bootstrap in [egress()?, egress_http1()?] {
        let chain = Chain::start(bootstrap).await?;
        let token = chain.token("alice")?;
        let own = || get("/orders").token(&token).proof("not.a.proof");
        let address = chain.egress.address;
        let mut application = Application::connect(address, HttpVersion::Http1).await?;
        for request in [own(), own().proof("another.one.x")] {
            let answer = application.send(request.empty()).await?;
            assert_eq!(Outcome::of(&answer), Passed);
        }
        let envoy = &chain.egress.envoy;
        assert_eq!(settled(envoy, "proofs.made").await?, 1);
        assert_eq!(settled(envoy, "proofs.reused").await?, 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p02_without_one_bearer_token_there_is_no_proof() -> Result<()> {
    let basic = || get("/orders").header("authorization", "Basic YTpi");
    let chain = Chain::start(egress()?).await?;
    for request in [get("/orders"), basic()] {
        let answer = chain.send(HttpVersion::Http1, request.empty()).await?;
        assert!(matches!(Outcome::of(&answer), Outcome::Refused(_)));
    }
    let token = chain.token("alice")?;
    let twice = get("/orders").token(&token).token(&token);
    assert_eq!(chain.outcome(twice).await?, Outcome::Status(400));
    let envoy = &chain.egress.envoy;
    assert_eq!(settled(envoy, "requests.unproved").await?, 2);
    assert_eq!(settled(envoy, "requests.malformed").await?, 1);
    assert_eq!(settled(envoy, "proofs.made").await?, 0);

    let strict = egress()?.with(PROVER, r#"value: '{"without_token": "refuse"}'"#);
    let chain = Chain::start(strict).await?;
    for request in [get("/orders"), basic()] {
        assert_eq!(chain.outcome(request).await?, Outcome::Status(403));
    }
    assert_eq!(chain.stack.upstream.requests(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p03_no_proof_leaves_for_what_is_not_on_the_allow_list() -> Result<()> {
    let lists = [
        (
            r#"{"hosts": ["service.demo"]}"#,
            "https://other.demo/orders",
        ),
        (r#"{"paths": ["/orders"]}"#, "https://service.demo/accounts"),
    ];
    for (list, elsewhere) in lists {
        for policy in ["pass", "refuse"] {
            let config = format!(r#"value: '{{"allow": {list}, "not_allowed": "{policy}"}}'"#);
            let bootstrap = egress()?.with(PROVER, &config).with(
                "host_rewrite_literal: service.demo",
                "append_x_forwarded_host: true",
            );
            let chain = Chain::start(bootstrap).await?;
            let token = chain.token("alice")?;
            let request = Request::get(elsewhere).token(&token);
            let expected = match policy {
                "pass" => refused("use_session_binding"),
                _ => Outcome::Status(403),
            };
            assert_eq!(chain.outcome(request).await?, expected, "{list} {policy}");
            let envoy = &chain.egress.envoy;
            assert_eq!(settled(envoy, "proofs.made").await?, 0);
            let request = get("/orders").token(&token);
            assert_eq!(chain.outcome(request).await?, Passed, "{list} {policy}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p06_a_service_that_is_not_the_right_one_gets_no_request_and_no_proof() -> Result<()> {
    let others = Files::make()?;
    let other_ca = format!("\"ca\": \"{}\"", others.pki().join("ca.pem").display());
    let wrong: [fn(Bootstrap, &str) -> Bootstrap; 2] = [
        |egress, _| {
            egress.with(
                r#""server_name": "service.demo""#,
                r#""server_name": "other.demo""#,
            )
        },
        |egress, ca| egress.with(r#""ca": "target/demo/pki/ca.pem""#, ca),
    ];
    for change in wrong {
        for bootstrap in [egress()?, egress_http1()?] {
            let chain = Chain::start(change(bootstrap, &other_ca)).await?;
            let request = get("/orders").token(&chain.token("alice")?);
            assert_eq!(chain.outcome(request).await?, Outcome::Status(503));
            assert_eq!(settled(&chain.egress.envoy, "proofs.made").await?, 0);
            assert_eq!(chain.stack.upstream.requests(), 0);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p07_a_proof_that_is_always_refused_is_made_anew_once_where_that_may_mend_it() -> Result<()>
{
    // A proof of the connection is none of the request, and a key on P-256 makes no ES384.
    let mended = r#"value: '{"required_claims":["jti"]}'"#;
    let nothing = r#"value: '{"algorithms":["ES384"]}'"#;
    for (bootstrap, policy, attempts) in [
        (egress()?, mended, 2),
        (egress_http1()?, mended, 2),
        (egress()?, nothing, 1),
    ] {
        let ingress = Bootstrap::shipped("ingress.yaml")?.with(FILTER, policy);
        let chain = Chain::between(bootstrap, &ingress).await?;
        let request = get("/orders").token(&chain.token("alice")?);
        assert_eq!(chain.outcome(request).await?, refused("invalid_proof"));
        let (egress, ingress) = (&chain.egress.envoy, &chain.stack.envoy);
        assert_eq!(settled(egress, "proofs.made").await?, attempts);
        // What a new proof does not mend is no fault of the proof.
        let faulty = if attempts > 1 { attempts } else { 0 };
        assert_eq!(settled(egress, "proofs.refused_by_peer").await?, faulty);
        assert_eq!(
            settled(ingress, "session_binding.refused.").await?,
            attempts
        );
        assert_eq!(chain.stack.upstream.requests(), 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p11_a_token_of_one_hop_is_refused_on_the_next() -> Result<()> {
    // The application's sidecar -> B's ingress, B's egress -> C's ingress -> C.
    let c = Stack::ingress().await?;
    let bs = egress()?
        .with("pki/client.pem", "pki/client-rsa.pem")
        .with("pki/client.key", "pki/client-rsa.key");
    let b_out = c.egress(bs).await?;
    let ingress = Bootstrap::shipped("ingress.yaml")?;
    let b_in = c.beside("b", "ingress", &ingress, b_out.address).await?;
    let to_b = format!("port_value: {} ", b_in.address.port());
    let a_out = egress()?.with("port_value: 8443 ", &to_b);
    let a_out = c.beside("a", "egress", &a_out, b_in.address).await?;

    let as_a = token(&c, &c.party("client", HTTP2)?)?;
    let as_b = token(&c, &c.party("client-rsa", HTTP2)?)?;
    let answer = send(a_out.address, HttpVersion::Http1, present(&as_a, None)).await?;
    assert_eq!(Outcome::of(&answer), refused("invalid_token"));
    assert_eq!(settled(&b_in.envoy, "session_binding.admitted.").await?, 1);
    assert_eq!(c.upstream.requests(), 0);
    assert_eq!(settled(&c.envoy, "session_binding.refused.").await?, 1);
    // What B asks for itself, with a token of its own, C answers.
    let answer = send(b_out.address, HttpVersion::Http1, present(&as_b, None)).await?;
    assert_eq!(Outcome::of(&answer), Passed);
    assert_eq!(c.upstream.requests(), 1);
    Ok(())
}
