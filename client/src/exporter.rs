//! The exporter value of a rustls connection.

use rustls::{ConnectionCommon, ProtocolVersion};
use thiserror::Error;
use tls_session_binding::exporter::{EXPORTER_BYTES, ExporterValue, LABEL};

/// Derives the exporter value of a client's or a server's connection.
///
/// The context is present and of zero length (EKM-1): TLS 1.2 tells that from an absent one. The
/// value comes from the finished handshake, never from early data (EKM-2).
///
/// *Not* verified here: the extended master secret of TLS 1.2 (EKM-3). rustls does not tell which
/// connection has it, so a configuration that allows TLS 1.2 must set `require_ems`, as
/// `http::Connector` does.
///
/// ```no_run
/// # fn example(connection: &rustls::ClientConnection) -> Result<(), Box<dyn std::error::Error>> {
/// let exporter = tls_session_binding_client::exporter::of(connection)?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`ExporterError::HandshakeUnfinished`] before the handshake is complete,
/// [`ExporterError::ProtocolVersion`] for another protocol than TLS 1.2 and 1.3.
///
/// RFC 5705, RFC 8446 section 7.5.
pub fn of<Side>(connection: &ConnectionCommon<Side>) -> Result<ExporterValue, ExporterError> {
    if connection.is_handshaking() {
        return Err(ExporterError::HandshakeUnfinished);
    }
    match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2 | ProtocolVersion::TLSv1_3) => {}
        _ => return Err(ExporterError::ProtocolVersion),
    }
    let value = connection
        .export_keying_material([0; EXPORTER_BYTES], LABEL.as_bytes(), Some(&[]))
        .map_err(|_| ExporterError::HandshakeUnfinished)?;
    Ok(ExporterValue::from_bytes(value))
}

/// Why a connection has no exporter value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExporterError {
    /// The handshake is not complete.
    #[error("the TLS handshake is not complete: there is no exporter value yet")]
    HandshakeUnfinished,
    /// Neither TLS 1.2 nor TLS 1.3 was negotiated.
    #[error("the connection is neither TLS 1.2 nor TLS 1.3")]
    ProtocolVersion,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    #[test]
    fn a_connection_before_the_end_of_its_handshake_has_no_exporter_value() {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = "service.demo".try_into().unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        assert_eq!(of(&connection), Err(ExporterError::HandshakeUnfinished));
    }
}
