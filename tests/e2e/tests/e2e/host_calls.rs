//! An Envoy that refuses a call of the filter's: what needs the call fails closed, the rest works.

use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, present};
use tls_session_binding_e2e::stack::{Bootstrap, Stack};

use crate::vocabulary::{HTTP1, Passed, refused, token};

const HOOKS: [&str; 10] = [
    "proxy_on_context_create",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_request_headers",
    "proxy_on_tick",
    "proxy_on_request_trailers",
    "proxy_on_downstream_connection_close",
    "proxy_on_done",
    "proxy_on_log",
    "proxy_on_delete",
];

/// What becomes of the filter without a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    /// Envoy does not start with it.
    NoStart,
    /// What needs the call ends with 503.
    Closed,
    /// Good requests pass.
    Works,
}

/// The host's functions that the filter calls. Envoy answers a restricted one with an internal failure.
const CALLS: [(&str, Without); 17] = [
    ("proxy_log", Without::NoStart),
    ("proxy_define_metric", Without::NoStart),
    ("proxy_record_metric", Without::NoStart),
    ("proxy_get_buffer_bytes", Without::NoStart),
    ("proxy_set_tick_period_milliseconds", Without::NoStart),
    ("random_get", Without::NoStart),
    ("proxy_increment_metric", Without::Closed),
    ("proxy_get_current_time_nanoseconds", Without::Closed),
    ("proxy_get_header_map_pairs", Without::Closed),
    ("proxy_get_property", Without::Closed),
    ("proxy_remove_header_map_value", Without::Closed),
    ("proxy_set_property", Without::Closed),
    ("proxy_get_shared_data", Without::Closed),
    ("proxy_set_shared_data", Without::Closed),
    ("proxy_send_local_response", Without::Works),
    ("proxy_set_effective_context", Without::Works),
    ("proxy_call_foreign_function", Without::Works),
];

/// The key of a plugin's configuration that keeps one of the calls from it.
pub(crate) fn restriction(missing: &str) -> String {
    let calls = CALLS.iter().map(|(call, _)| call);
    let allowed = HOOKS.iter().chain(calls.filter(|call| **call != missing));
    let allowed: Vec<String> = allowed.map(|name| format!("{name}: {{}}")).collect();
    let allowed = allowed.join(", ");
    format!("capability_restriction_config: {{ allowed_capabilities: {{ {allowed} }} }}")
}

/// The shipped stack, its filter without one of the calls.
pub(crate) fn without(missing: &str) -> Result<Bootstrap> {
    let plain = "name: tls_session_binding\n                        failure_policy: FAIL_RELOAD";
    let restricted = format!(
        "name: tls_session_binding\n                        {}\n                        \
         failure_policy: FAIL_RELOAD",
        restriction(missing)
    );
    Ok(Bootstrap::shipped("ingress.yaml")?.with(plain, &restricted))
}

/// R05
#[tokio::test(flavor = "multi_thread")]
async fn a_host_call_that_fails_lets_nothing_pass_that_should_not() -> Result<()> {
    for (call, expected) in CALLS {
        let Ok(stack) = Stack::start(&without(call)?).await else {
            assert!(expected == Without::NoStart, "no start without {call}");
            continue;
        };
        let (genuine, stolen) = (ask(&stack, true).await?, ask(&stack, false).await?);
        let closed = Outcome::Status(503);
        let expected = match expected {
            Without::NoStart => return Err(format!("Envoy starts without {call}").into()),
            Without::Closed => closed.clone(),
            Without::Works => Passed,
        };
        assert_eq!(genuine, expected, "{call}");
        let stopped = [refused("invalid_proof"), closed].contains(&stolen);
        assert!(stopped, "{call}: {stolen:?}");
    }
    Ok(())
}

/// What becomes of a proof on its own connection, or on another one.
async fn ask(stack: &Stack, own: bool) -> Result<Outcome> {
    let party = stack.party("client", HTTP1)?;
    let (connection, other) = (party.connect().await?, party.connect().await?);
    let token = token(stack, &party)?;
    let signed_for = if own { &connection } else { &other };
    let proof = party.proof(&token, signed_for.exporter())?;
    stack
        .outcome(&connection, present(&token, Some(&proof)))
        .await
}
