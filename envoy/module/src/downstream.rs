//! What the handshake of a client has shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};
use tls_session_binding::certificate::NOT_PRESENTED;
use tls_session_binding_client::ExporterValue;
use tls_session_binding_client::exporter::{self, ExporterError};

use crate::certificate::not_after;
use crate::clock::now;
use crate::registry::{Entries, Registry};

/// Connections of clients, by id.
pub const CONNECTIONS: Registry<Downstream> = Registry::over(&ENTRIES);

thread_local! {
    static ENTRIES: Entries<Downstream> = Entries::default();
}

/// Facts of one client's connection.
#[derive(Debug)]
pub struct Downstream {
    /// The exporter value: secret.
    pub exporter: ExporterValue,
    /// DER of the client's certificate; `None` if it was allowed to show none.
    pub certificate: Option<Vec<u8>>,
    /// The certificate as it is published: every request reads it.
    pub published_certificate: String,
    /// Protocol version, such as `TLSv1.3`.
    pub version: &'static str,
    /// Cipher suite, by its IANA name.
    pub cipher_suite: &'static str,
    /// The name that the client asked for; empty if none.
    pub server_name: String,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// End of the client's certificate, in seconds since the epoch; `None` if it showed none.
    pub ends_at: Option<u64>,
}

impl Downstream {
    /// Reads the facts of a connection whose handshake is done.
    ///
    /// # Errors
    /// When there is no exporter value, which a finished handshake rules out.
    pub fn of(tls: &ServerConnection) -> Result<Self, ExporterError> {
        let leaf = tls.peer_certificates().and_then(|chain| chain.first());
        let suite = tls
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str());
        Ok(Self {
            exporter: exporter::of(tls)?,
            certificate: leaf.map(|leaf| leaf.to_vec()),
            published_certificate: published(leaf.map(AsRef::as_ref)),
            // What was verified can be read; what cannot has ended.
            ends_at: leaf.map(|leaf| not_after(leaf).unwrap_or_default()),
            version: match tls.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "TLSv1.2",
            },
            cipher_suite: suite.unwrap_or_default(),
            server_name: tls.server_name().unwrap_or_default().to_owned(),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    /// Whether the client's certificate has ended since the handshake.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ends_at.is_some_and(|ends_at| now() > ends_at)
    }
}

/// Base64 of the DER; `none` if the client was allowed to show no certificate.
#[must_use]
pub fn published(certificate: Option<&[u8]>) -> String {
    certificate.map_or_else(
        || String::from_utf8_lossy(NOT_PRESENTED).into_owned(),
        |der| STANDARD.encode(der),
    )
}
