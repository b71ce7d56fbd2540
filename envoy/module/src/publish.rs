//! The network filter `publish`: facts of the handshake as filter state of the connection.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::certificate::Certificate;
use crate::config::Mistakes;
use crate::downstream::{CONNECTIONS, Downstream};
use crate::spiffe::SpiffeId;

/// Key of the exporter value: base64url without padding.
pub const EXPORTER: &str = "tls_session_binding.exporter";
/// Key of the client certificate: base64 of its DER, or `none` if the client was allowed to show none.
pub const CLIENT_CERTIFICATE: &str = "tls_session_binding.client_certificate";
/// Key of the protocol version.
pub const TLS_VERSION: &str = "tls_session_binding.tls_version";
/// Key of the cipher suite.
pub const CIPHER_SUITE: &str = "tls_session_binding.cipher_suite";
/// Key of the name that the client asked for.
pub const SERVER_NAME: &str = "tls_session_binding.server_name";
/// Key of `true` or `false`: whether an earlier session was resumed.
pub const RESUMED: &str = "tls_session_binding.resumed";
/// Key of the client certificate's SPIFFE ID.
pub const SPIFFE_ID: &str = "tls_session_binding.spiffe_id";
/// Key of the client certificate's DNS names, joined with commas.
pub const DNS_NAMES: &str = "tls_session_binding.dns_names";
/// Key of the client certificate's subject.
pub const SUBJECT: &str = "tls_session_binding.subject";
/// Key of the client certificate's thumbprint: base64url of SHA-256.
pub const THUMBPRINT: &str = "tls_session_binding.thumbprint";
/// Key of what `x-forwarded-client-cert` would say.
pub const FORWARDED: &str = "tls_session_binding.forwarded_client_cert";

/// Envoy's side of the filter on one connection.
pub trait FilterState {
    /// The connection's id.
    fn connection_id(&self) -> u64;
    /// Sets one value, and tells whether it is there.
    fn set(&self, key: &str, value: &[u8]) -> bool;
}

/// A value could not be set: another filter's would be believed in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpublished(pub &'static str);

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

/// When the certificate of the connection's client ends, if it showed one.
#[must_use]
pub fn ends_at(connection: u64) -> Option<u64> {
    CONNECTIONS.recall(connection)?.ends_at
}

/// Whether the connection has to end: its client's certificate has ended.
#[must_use]
pub fn is_over(connection: u64) -> bool {
    CONNECTIONS
        .recall(connection)
        .is_some_and(|facts| facts.has_ended())
}

/// Publishes the facts of a connection whose handshake is done.
///
/// Every key is set, also one that has nothing to say: what another filter has set before would be
/// believed. A connection of another transport socket has no facts, so all its values are empty: the verifier
/// then refuses as it must, because its host says nothing.
///
/// # Errors
/// The first value that could not be set; the connection must not be used.
pub fn publish(filter: &dyn FilterState) -> Result<(), Unpublished> {
    let facts = CONNECTIONS.recall(filter.connection_id());
    for (key, value) in values(facts.as_deref()) {
        if !filter.set(key, value.as_bytes()) {
            return Err(Unpublished(key));
        }
    }
    Ok(())
}

/// A value for each key.
fn values(facts: Option<&Downstream>) -> [(&'static str, String); 11] {
    let of_handshake = |value: fn(&Downstream) -> String| facts.map(value).unwrap_or_default();
    let der = facts.and_then(|facts| facts.certificate.as_deref());
    // Verified in the handshake, so it can be read.
    let certificate = der.and_then(|der| Certificate::of_der(der).ok());
    let of_certificate =
        |value: fn(&Certificate) -> String| certificate.as_ref().map(value).unwrap_or_default();
    [
        (
            EXPORTER,
            of_handshake(|facts| facts.exporter.to_base64url()),
        ),
        (
            CLIENT_CERTIFICATE,
            of_handshake(|facts| facts.published_certificate.clone()),
        ),
        (TLS_VERSION, of_handshake(|facts| facts.version.to_owned())),
        (
            CIPHER_SUITE,
            of_handshake(|facts| facts.cipher_suite.to_owned()),
        ),
        (SERVER_NAME, of_handshake(|facts| facts.server_name.clone())),
        (RESUMED, of_handshake(|facts| facts.resumed.to_string())),
        (SPIFFE_ID, of_certificate(spiffe_id)),
        (DNS_NAMES, of_certificate(|leaf| leaf.dns_names().join(","))),
        (SUBJECT, of_certificate(|leaf| leaf.subject().to_owned())),
        (
            THUMBPRINT,
            of_certificate(|leaf| leaf.thumbprint().to_base64url()),
        ),
        (
            FORWARDED,
            der.zip(certificate.as_ref())
                .map(|(der, leaf)| forwarded(der, leaf))
                .unwrap_or_default(),
        ),
    ]
}

fn spiffe_id(certificate: &Certificate) -> String {
    let id = certificate.spiffe_id().map_or("", SpiffeId::as_str);
    id.to_owned()
}

/// The element that Envoy itself would put into `x-forwarded-client-cert`.
fn forwarded(der: &[u8], certificate: &Certificate) -> String {
    let mut element = "Hash=".to_owned();
    for byte in Sha256::digest(der) {
        // Writing to a string does not fail.
        let _ = write!(element, "{byte:02x}");
    }
    let _ = write!(element, ";Subject=\"{}\"", escaped(certificate.subject()));
    for uri in certificate.uris() {
        let _ = write!(element, ";URI={}", quoted(uri));
    }
    for name in certificate.dns_names() {
        let _ = write!(element, ";DNS={}", quoted(name));
    }
    element
}

/// Quoted where it would otherwise end the pair or the element.
fn quoted(text: &str) -> String {
    if text.contains([',', ';', '=', '"']) {
        format!("\"{}\"", escaped(text))
    } else {
        text.to_owned()
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests;
