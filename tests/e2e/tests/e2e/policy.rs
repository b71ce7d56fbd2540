//! Modes and rules: what is demanded of a request is the token's and the rule's to say, never a header's.

use http::StatusCode;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::Outcome;
use tls_session_binding_e2e::stack::{Bootstrap, Stack};

use crate::counts::until;
use crate::credentials::Bring::{
    self, CertificateBound, NoProof, Nothing, OldRequestProof, Proof, RequestProof, StolenToken,
    Unbound,
};
use crate::credentials::Client;
use crate::vocabulary::{HTTP2, Passed, configured, refused};

/// The configuration in front of requests that need no token for `jwt_authn`.
pub(crate) fn with_policy(configuration: &str) -> Result<Bootstrap> {
    let missing_allowed = "requires: { requires_any: { requirements: [{ provider_name: demo }, { allow_missing: {} }] } }";
    let bootstrap = configured(configuration)?;
    Ok(bootstrap.with("requires: { provider_name: demo }", missing_allowed))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mode_decides_what_tokens_must_be_and_observing_refuses_nothing() -> Result<()> {
    let (unproved, stolen) = (refused("use_session_binding"), refused("invalid_token"));
    let if_bound = [
        (Nothing, Passed, "admitted.without_token"),
        (Unbound, Passed, "admitted.unbound"),
        (CertificateBound, Passed, "admitted.certificate_bound"),
        (Proof, Passed, "admitted.session_bound"),
        (NoProof, unproved.clone(), "refused.proof_missing"),
        (
            StolenToken,
            stolen.clone(),
            "refused.certificate_not_confirmed",
        ),
    ];
    let enforce = [
        (Nothing, Passed, "admitted.without_token"),
        (Unbound, refused("invalid_token"), "refused.token_not_bound"),
        (
            CertificateBound,
            refused("invalid_token"),
            "refused.token_not_bound",
        ),
        (Proof, Passed, "admitted.session_bound"),
        (NoProof, unproved, "refused.proof_missing"),
        (StolenToken, stolen, "refused.certificate_not_confirmed"),
    ];
    let observe = [
        (Nothing, Passed, "observed.access_token_missing"),
        (Unbound, Passed, "admitted.unbound"),
        (CertificateBound, Passed, "admitted.certificate_bound"),
        (Proof, Passed, "admitted.session_bound"),
        (NoProof, Passed, "observed.proof_missing"),
        (StolenToken, Passed, "observed.certificate_not_confirmed"),
    ];
    for (configuration, cases) in [
        ("{}", if_bound.clone()),
        (r#"{"mode":"enforce_if_bound"}"#, if_bound),
        (r#"{"mode":"enforce"}"#, enforce),
        (r#"{"mode":"observe","without_token":"refuse"}"#, observe),
    ] {
        let stack = Stack::start(&with_policy(configuration)?).await?;
        let client = Client::connect(&stack, HTTP2).await?;
        for (bring, expected, counter) in cases {
            let case = format!("{configuration} {bring:?}");
            let counter = format!("session_binding.{counter}.default");
            let before = stack.envoy.stat(&counter).await?;
            let outcome = client.try_with(bring, "GET", "service.demo/orders").await?;
            assert_eq!(outcome, expected, "{case}");
            until(&stack.envoy, &counter, |count| count == before + 1)
                .await
                .map_err(|error| format!("{case}: {error}"))?;
        }
    }
    Ok(())
}

const RULES: &str = r#"{ "without_token": "refuse",
  "rules": [
    { "name": "health", "path": { "exact": "/healthz" }, "methods": ["GET"], "without_token": "pass" },
    { "name": "payments", "host": "*.bank.example", "path": { "prefix": "/payments" }, "methods": ["POST"],
      "mode": "enforce", "required_claims": ["htm", "htu", "jti"], "max_proof_age": "60s" },
    { "name": "trial", "path": { "prefix": "/trial" }, "mode": "observe" },
    { "name": "never", "path": { "exact": "/trial/strict" }, "mode": "enforce" },
    { "name": "orders", "host": "service.demo", "path": { "template": "/users/{id}/orders" }, "mode": "enforce" } ] }"#;

/// What is brought, method, target, outcome, and the counter, which names the rule.
type Case = (Bring, &'static str, &'static str, Outcome, &'static str);

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let missing = || Outcome::Refused(None);
    let (unbound, unproved, proof) = (refused("invalid_token"), refused("use_session_binding"), refused("invalid_proof"));
    vec![
        (Nothing, "GET", "service.demo/healthz", Passed, "admitted.without_token.health"),
        (Nothing, "GET", "service.demo/healthz?full", Passed, "admitted.without_token.health"),
        (Nothing, "POST", "service.demo/healthz", missing(), "refused.access_token_missing.default"),
        (Nothing, "GET", "service.demo/healthz/x", missing(), "refused.access_token_missing.default"),
        (NoProof, "GET", "service.demo/healthz", unproved.clone(), "refused.proof_missing.health"),
        (Proof, "POST", "api.bank.example/payments", proof.clone(), "refused.proof_claim_missing.payments"),
        (RequestProof, "POST", "api.bank.example/payments/7", Passed, "admitted.session_bound.payments"),
        (OldRequestProof, "POST", "api.bank.example/payments/8", proof.clone(), "refused.proof_too_old.payments"),
        (OldRequestProof, "GET", "api.bank.example/payments/8", Passed, "admitted.session_bound.default"),
        (Unbound, "POST", "api.bank.example/payments", unbound.clone(), "refused.token_not_bound.payments"),
        (Unbound, "POST", "a.b.bank.example/payments", unbound.clone(), "refused.token_not_bound.payments"),
        (Unbound, "POST", "bank.example/payments", Passed, "admitted.unbound.default"),
        (Unbound, "POST", "API.BANK.EXAMPLE:443/x/../%70ayments", unbound.clone(), "refused.token_not_bound.payments"),
        (Unbound, "POST", "api.bank.example/paymentsx", Passed, "admitted.unbound.default"),
        (NoProof, "GET", "service.demo/trial/strict", Passed, "observed.proof_missing.trial"),
        (Unbound, "GET", "service.demo/trial/strict", Passed, "admitted.unbound.trial"),
        (Nothing, "GET", "service.demo/trial", Passed, "observed.access_token_missing.trial"),
        (Unbound, "GET", "service.demo/users/7/orders", unbound.clone(), "refused.token_not_bound.orders"),
        (Proof, "GET", "service.demo/users/7/orders", Passed, "admitted.session_bound.orders"),
        (Unbound, "GET", "service.demo/users/7/8/orders", Passed, "admitted.unbound.default"),
        (Unbound, "GET", "other.demo/users/7/orders", Passed, "admitted.unbound.default"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_rule_for_host_path_and_method_decides_with_its_own_mode() -> Result<()> {
    let stack = Stack::start(&with_policy(RULES)?).await?;
    let client = Client::connect(&stack, HTTP2).await?;
    for (bring, method, target, outcome, counter) in cases() {
        let case = format!("{bring:?} {method} {target}");
        let counter = format!("session_binding.{counter}");
        let before = stack.envoy.stat(&counter).await?;
        assert_eq!(
            client.try_with(bring, method, target).await?,
            outcome,
            "{case}"
        );
        until(&stack.envoy, &counter, |count| count == before + 1)
            .await
            .map_err(|error| format!("{case}: {error}"))?;
    }
    assert_eq!(stack.envoy.stat(".never").await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_token_is_passed_on_or_gets_a_plain_bearer_challenge() -> Result<()> {
    for (configuration, expected) in [
        (r#"{"without_token":"pass"}"#, None),
        (
            r#"{"without_token":"refuse"}"#,
            Some(r#"Bearer realm="session-binding""#),
        ),
        (
            r#"{"without_token":"refuse","realm":"shop","resource_metadata":"https://shop.example/m"}"#,
            Some(r#"Bearer realm="shop", resource_metadata="https://shop.example/m""#),
        ),
    ] {
        let stack = Stack::start(&with_policy(configuration)?).await?;
        let client = Client::connect(&stack, HTTP2).await?;
        let request = client.request(Nothing, "GET", "service.demo/")?;
        let response = client.connection.send_as_is(request).await?;
        let challenge = response.headers().get("www-authenticate");
        let challenge = challenge.map(|value| String::from_utf8_lossy(value.as_bytes()));
        assert_eq!(challenge.as_deref(), expected, "{configuration}");
        assert_eq!(response.status() == StatusCode::OK, expected.is_none());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_client_is_told_why_or_the_code_alone() -> Result<()> {
    let why = r#"Bearer error="use_session_binding", mend="proof", error_description="the access token needs a session-binding proof""#;
    let code = r#"Bearer error="use_session_binding", mend="proof""#;
    for (configuration, expected) in [
        (r#"{"error_description":"full"}"#, why),
        (r#"{"error_description":"code"}"#, code),
    ] {
        let stack = Stack::start(&with_policy(configuration)?).await?;
        let client = Client::connect(&stack, HTTP2).await?;
        let request = client.request(NoProof, "GET", "service.demo/")?;
        let response = client.connection.send_as_is(request).await?;
        let challenge = response.headers().get("www-authenticate");
        assert_eq!(
            challenge.map(http::HeaderValue::as_bytes),
            Some(expected.as_bytes())
        );
        let body = String::from_utf8_lossy(response.body());
        assert_eq!(body.contains("needs"), expected == why, "{body}");
    }
    Ok(())
}

/// The ingress strips the port that the client's proof names.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_for_the_authority_that_the_client_sees_passes_where_the_pair_is_configured()
-> Result<()> {
    let pair = r#"{"client_authority":{"service.demo":"service.demo:8443"}}"#;
    let other = r#"{"client_authority":{"other.demo":"service.demo:8443"}}"#;
    let mismatch = || refused("invalid_proof");
    for (configuration, with_port, without) in [
        ("{}", mismatch(), Passed),
        (other, mismatch(), Passed),
        (pair, Passed, mismatch()),
    ] {
        let bootstrap = with_policy(configuration)?.with(
            "use_remote_address: true",
            "use_remote_address: true\n                strip_any_host_port: true",
        );
        let stack = Stack::start(&bootstrap).await?;
        let client = Client::connect(&stack, HTTP2).await?;
        for (target, expected) in [
            ("service.demo:8443/orders", with_port),
            ("service.demo/orders", without),
        ] {
            let outcome = client.try_with(RequestProof, "GET", target).await?;
            assert_eq!(outcome, expected, "{configuration} {target}");
        }
    }
    Ok(())
}
