//! What is told of each request: to the service, to access logs, to other filters.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tls_session_binding_e2e::ask::Outcome;
use tls_session_binding_e2e::stack::{Bootstrap, Stack};
use tls_session_binding_e2e::{Result, root};

use crate::credentials::Bring::{
    self, CertificateBound, NoProof, Nothing, Proof, StolenToken, Unbound,
};
use crate::credentials::Client;
use crate::policy::with_policy;
use crate::vocabulary::{HTTP1, HTTP2, Passed};

/// Envoy writes its access log at intervals.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn the_service_is_told_what_was_verified_and_nothing_that_a_client_claims() -> Result<()> {
    let rules = r#"{"verified_header":"x-session-binding",
        "rules":[{"name":"trial","path":{"prefix":"/trial"},"mode":"observe"}]}"#;
    let stack = Stack::start(&with_policy(rules)?).await?;
    for options in [HTTP1, HTTP2] {
        let client = Client::connect(&stack, options.clone()).await?;
        let x5t = client.party.signer.thumbprint().to_base64url();
        let told = |verdict| Some(format!(r#"{verdict};x5t="{x5t}""#));
        for (bring, path, expected) in [
            (Proof, "/", told("session_bound")),
            (Proof, "/", told("session_bound")),
            (CertificateBound, "/", told("certificate_bound")),
            (Unbound, "/", None),
            (Nothing, "/", None),
            (Proof, "/trial", told("session_bound")),
            (NoProof, "/trial", None),
            (StolenToken, "/trial", None),
        ] {
            let mut request = client.request(bring, "GET", &format!("service.demo{path}"))?;
            for forged in ["session_bound;x5t=\"forged\"", "certificate_bound"] {
                let header = http::HeaderName::from_static("x-session-binding");
                request.headers_mut().append(header, forged.parse()?);
            }
            let response = client.connection.send_as_is(request).await?;
            let seen: Value = serde_json::from_slice(response.body())?;
            let header = |name| seen.pointer(&format!("/headers/{name}")).cloned();
            let case = format!("{bring:?} {path} over {:?}", options.http);
            assert_eq!(
                header("x-session-binding"),
                expected.map(Value::from),
                "{case}"
            );
            assert_eq!(header("session-binding-proof"), None, "{case}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_a_service_may_take_for_the_verified_one_never_reaches_it() -> Result<()> {
    let filter = r#"{"verified_header":"x-session-binding"}"#;
    let allowed = with_policy(filter)?.with(
        "headers_with_underscores_action: REJECT_REQUEST",
        "headers_with_underscores_action: ALLOW",
    );
    let spellings = [
        "x_session_binding",
        "x-session_binding",
        "x.session.binding",
    ];
    for (bootstrap, status) in [(allowed, 200), (with_policy(filter)?, 400)] {
        let stack = Stack::start(&bootstrap).await?;
        let client = Client::connect(&stack, HTTP1).await?;
        for bring in [Nothing, Proof] {
            let mut request = client.request(bring, "GET", "service.demo/")?;
            for name in spellings {
                let name = http::HeaderName::from_static(name);
                request.headers_mut().append(name, "session_bound".parse()?);
            }
            let response = client.connection.send_as_is(request).await?;
            assert_eq!(response.status().as_u16(), status, "{bring:?}");
            let seen = String::from_utf8_lossy(response.body()).into_owned();
            for name in spellings {
                assert!(!seen.contains(name), "{bring:?}: {seen}");
            }
            if status == 400 {
                break;
            }
        }
    }
    Ok(())
}

/// The operators guide's format in place of the shipped one.
pub(crate) fn with_json_log(bootstrap: Bootstrap) -> Result<Bootstrap> {
    let guide = std::fs::read_to_string(root().join("docs/operators-guide.md"))?;
    let format = guide
        .split("```yaml\n")
        .find_map(|snippet| snippet.strip_prefix("json_format:\n"))
        .and_then(|snippet| snippet.split("```").next())
        .ok_or("the guide has no json_format")?;
    let indented = format!("{:24}{}", "", format.trim_end()).replace('\n', &format!("\n{:24}", ""));
    let shipped = bootstrap
        .as_str()
        .split_once("text_format_source:")
        .and_then(|(_, rest)| rest.split_once("                route_config:"))
        .map(|(text, _)| format!("text_format_source:{text}"))
        .ok_or("no log format")?;
    Ok(bootstrap.with(&shipped, &format!("json_format:\n{indented}\n")))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_tells_verdict_reason_rule_and_thumbprint_in_json() -> Result<()> {
    let rules = r#"{"rules":[{"name":"trial","path":{"prefix":"/trial"},"mode":"observe"}]}"#;
    let stack = Stack::start(&with_json_log(with_policy(rules)?)?).await?;
    let client = Client::connect(&stack, HTTP2).await?;
    let x5t = client.party.signer.thumbprint().to_base64url();
    // The thumbprint is the connection's, from its first bound token on.
    #[rustfmt::skip]
    let cases = [
        (Nothing, "/", json!([200, "without_token", null, "default", null])),
        (Unbound, "/", json!([200, "unbound", null, "default", null])),
        (Proof, "/", json!([200, "session_bound", null, "default", x5t])),
        (Proof, "/", json!([200, "session_bound", null, "default", x5t])),
        (Proof, "/trial", json!([200, "session_bound", null, "trial", x5t])),
        (CertificateBound, "/", json!([200, "certificate_bound", null, "default", x5t])),
        (Unbound, "/", json!([200, "unbound", null, "default", x5t])),
        (Nothing, "/", json!([200, "without_token", null, "default", x5t])),
        (NoProof, "/", json!([401, "refused", "proof_missing", "default", x5t])),
        (NoProof, "/trial", json!([200, "observed", "proof_missing", "trial", x5t])),
        (StolenToken, "/", json!([401, "refused", "certificate_not_confirmed", "default", x5t])),
    ];
    for (bring, path, _) in &cases {
        client
            .try_with(*bring, "GET", &format!("service.demo{path}"))
            .await?;
    }
    let logged = log_records(&stack, cases.len()).await?;
    for ((bring, path, expected), record) in cases.iter().zip(logged) {
        let of = |name: &str| record.get(name).cloned().unwrap_or("no such field".into());
        let facts = ["status", "verdict", "reason", "rule", "thumbprint"].map(of);
        assert_eq!(json!(facts), *expected, "{bring:?} {path}: {record}");
    }
    Ok(())
}

async fn log_records(stack: &Stack, count: usize) -> Result<Vec<Value>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = stack.envoy.log();
        let records: Vec<Value> = log
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(serde_json::from_str)
            .collect::<std::result::Result<_, _>>()?;
        if records.len() >= count || Instant::now() > deadline {
            assert_eq!(records.len(), count, "{log}");
            return Ok(records);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

const ONLY_SESSION_BOUND: &str = r#"- name: envoy.filters.http.rbac
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
                      rules:
                        action: ALLOW
                        policies:
                          session-bound:
                            permissions: [{ any: true }]
                            principals:
                              - filter_state: { key: wasm.session_binding.verdict, string_match: { exact: session_bound } }
                  - name: envoy.filters.http.router"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_behind_can_decide_by_the_verdict() -> Result<()> {
    let router = "- name: envoy.filters.http.router";
    let bootstrap = with_policy("{}")?.with(router, ONLY_SESSION_BOUND);
    let stack = Stack::start(&bootstrap).await?;
    let client = Client::connect(&stack, HTTP2).await?;
    let forbidden = Outcome::Status(403);
    let cases: [(Bring, Outcome); 4] = [
        (Proof, Passed),
        (CertificateBound, forbidden.clone()),
        (Unbound, forbidden.clone()),
        (Nothing, forbidden),
    ];
    for (bring, expected) in cases {
        let outcome = client.try_with(bring, "GET", "service.demo/").await?;
        assert_eq!(outcome, expected, "{bring:?}");
    }
    Ok(())
}
