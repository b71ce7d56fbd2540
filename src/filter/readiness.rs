//! What the host provides, found out once per VM and told as a log line and as gauges, so that a
//! mis-wired mesh is seen before somebody's request fails.

use proxy_wasm::types::LogLevel;

use crate::config::Config;

use super::connection;
use super::host;

/// Prefix of the gauges, each 1 or 0.
const PREFIX: &str = "session_binding.host";

/// Looks at the present connection for everything that verification needs of the host.
pub(super) fn check(config: &Config) {
    let findings = [
        ("exporter", connection::exporter(config).is_ok()),
        ("client_certificate", connection::has_certificate(config)),
        ("connection_id", host::connection_id().is_ok()),
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
    } else {
        let missing = missing.join(", ");
        host::log_error(&format!(
            "session binding: the host does not provide: {missing}. Requests with session-bound tokens \
             will get 503: check the transport socket, the publishing filter and the property paths"
        ));
    }
}

/// Sets a gauge to whether the host provides something.
pub(super) fn report(name: &str, found: bool) {
    host::record(
        host::define_gauge(&format!("{PREFIX}.{name}")),
        u64::from(found),
    );
}
