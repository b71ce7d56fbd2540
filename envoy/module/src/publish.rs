//! The network filter `publish`: facts of the handshake as filter state of the connection.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::config::Mistakes;
use crate::established;

/// Key of the exporter value: base64url without padding.
pub const EXPORTER: &str = "tls_session_binding.exporter";
/// Key of the client certificate: base64 of its DER; empty if the client was allowed to show none.
pub const CLIENT_CERTIFICATE: &str = "tls_session_binding.client_certificate";

/// Envoy's side of the filter on one connection.
pub trait FilterState {
    /// The connection's id.
    fn connection_id(&self) -> u64;
    /// Sets one value.
    fn set(&self, key: &str, value: &[u8]);
}

/// Accepts the filter by name; it has nothing to configure.
///
/// # Errors
/// Another name, or a configuration that is not empty.
pub fn check_config(name: &[u8], config: &[u8]) -> Result<(), Mistakes> {
    if name != b"publish" {
        return Err(Mistakes::one(
            "filter_name: the network filter is `publish`".to_owned(),
        ));
    }
    if !matches!(config.trim_ascii(), b"" | b"{}") {
        return Err(Mistakes::one(
            "filter_config: `publish` has nothing to configure".to_owned(),
        ));
    }
    Ok(())
}

/// Publishes the facts of a connection whose handshake is done.
///
/// A connection of another transport socket has none, and gets nothing: the verifier then refuses
/// as it must, because its host says nothing.
pub fn publish(filter: &dyn FilterState) {
    let Some(facts) = established::recall(filter.connection_id()) else {
        return;
    };
    let certificate = facts.peer_certificate.as_deref().unwrap_or_default();
    filter.set(EXPORTER, URL_SAFE_NO_PAD.encode(facts.exporter).as_bytes());
    filter.set(CLIENT_CERTIFICATE, STANDARD.encode(certificate).as_bytes());
}
