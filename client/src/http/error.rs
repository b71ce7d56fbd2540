//! Why there is no connection, or no response; bounds of time and size.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::exporter::ExporterError;
use crate::signer::{SignerError, SigningError};

/// Time for TCP connection and TLS and HTTP handshakes together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time from a request to the end of its response.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest response body that is accepted.
pub const MAX_RESPONSE_BYTES: usize = 64 << 20;

/// Why there is no connection, or no response.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The URL is not one this client can open.
    #[error(
        "the URL must be absolute, begin with https:// and name a host, without user or password"
    )]
    Url,
    /// The configured certificates or keys cannot be used.
    #[error("the TLS configuration is not usable")]
    Configuration(#[source] rustls::Error),
    /// Reading certificates failed.
    #[error(transparent)]
    Certificates(#[from] SignerError),
    /// TCP or TLS failed.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// The server chose another HTTP version than the one asked for.
    #[error("the server did not agree on the HTTP version by ALPN")]
    Alpn,
    /// The connection has no exporter value.
    #[error(transparent)]
    Exporter(#[from] ExporterError),
    /// The access token is not in b64token syntax (RFC 6750 section 2.1), or too long.
    #[error("the access token is too long, or not letters, digits and -._~+/ with = at the end")]
    AccessToken,
    /// The proof could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The exchange on the connection failed.
    #[error("the connection failed")]
    Exchange(#[source] hyper::Error),
    /// The connection is closed; the request was not sent.
    #[error("the connection is closed, the request was not sent")]
    Closed(#[source] Option<Arc<hyper::Error>>),
    /// The response body could not be read.
    #[error("the response body could not be read: {0}")]
    Body(String),
    /// A bound of time was reached.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
}
