//! What the host provides, told as a log line and as gauges, so that a mis-wired mesh is seen.

use proxy_wasm::types::LogLevel;

use crate::decide::Host;

use super::host;

/// Prefix of the gauges, each 1 or 0.
const PREFIX: &str = "session_binding.host";

/// Looks at the present connection for everything that verification needs of the host; whether all of it
/// is there. What is missing is logged if `is_told`.
pub(super) fn check(envoy: &impl Host, is_told: bool) -> bool {
    let findings = [
        ("exporter", envoy.exporter().is_some()),
        ("client_certificate", envoy.certificate().is_some()),
        ("connection_id", envoy.connection_id().is_ok()),
    ];
    for (name, found) in findings {
        report(name, found);
    }
    let missing: Vec<&str> = findings
        .iter()
        .filter(|(_, found)| !found)
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        host::log(
            LogLevel::Info,
            "session binding: the host provides everything that binding needs",
        );
    } else if is_told {
        let missing = missing.join(", ");
        host::log_error(&format!(
            "session binding: the host does not provide: {missing}. Requests with session-bound tokens \
             will get 503: check the transport socket, the publishing filter and the property paths"
        ));
    }
    missing.is_empty()
}

/// Sets a gauge to whether the host provides something.
pub(super) fn report(name: &str, found: bool) {
    host::record(
        host::define_gauge(&format!("{PREFIX}.{name}")),
        u64::from(found),
    );
}
