//! How connections are opened.

use rustls::SupportedProtocolVersion;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};

use super::server::SpiffeId;

/// The TLS version of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// TLS 1.3 only.
    #[default]
    Tls13,
    /// TLS 1.2 only, with extended master secret (EKM-3).
    Tls12,
}

/// The HTTP versions that are offered by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/2 or HTTP/1.1, as the server likes.
    #[default]
    Any,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
}

/// How connections are opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// TLS version.
    pub tls: TlsVersion,
    /// HTTP version.
    pub http: HttpVersion,
    /// The name that the server's certificate must have, and that is sent to the server, instead of the URL's host.
    pub server_name: Option<ServerName<'static>>,
    /// The SPIFFE ID that the server's certificate must have, instead of a name: an X.509-SVID has no other.
    pub server_spiffe_id: Option<SpiffeId>,
}

impl Options {
    /// These versions, and the URL's host as the server's name.
    #[must_use]
    pub const fn new(tls: TlsVersion, http: HttpVersion) -> Self {
        Self {
            tls,
            http,
            server_name: None,
            server_spiffe_id: None,
        }
    }
}

impl TlsVersion {
    pub(super) fn supported(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls13 => &TLS13,
            Self::Tls12 => &TLS12,
        }
    }
}

impl HttpVersion {
    pub(super) fn alpn(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Any => &[b"h2", b"http/1.1"],
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}
