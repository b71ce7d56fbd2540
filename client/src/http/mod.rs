//! Connections that carry bound tokens: tokio, rustls and hyper.
//!
//! ```no_run
//! use std::sync::Arc;
//! use tls_session_binding_client::http::{Connector, Options, Proving, trust_anchors};
//! use tls_session_binding_client::signer::Signer;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let signer = Signer::from_pem_files("client.pem".as_ref(), "client.key".as_ref())?;
//! let trusted = trust_anchors("ca.pem".as_ref())?;
//! let connector = Connector::new(Arc::new(signer), trusted, Options::default())?;
//! let session = connector.connect(&"https://localhost:8443/".parse()?).await?;
//!
//! for _ in 0..10 {
//!     let request = http::Request::get("https://localhost:8443/orders").body(Default::default())?;
//!     let answer = session.send(request, "example-token", Proving::Connection).await?;
//!     println!("{} {:?}", answer.response.status(), answer.proof); // Made, then Reused
//! }
//! # Ok(()) }
//! ```

mod challenge;
mod client;
mod connector;
mod files;
mod sender;
mod server;
mod session;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

pub use challenge::BearerChallenge;
pub use client::Client;
pub use connector::{Connector, HttpVersion, Options, TlsVersion, trust_anchors};
pub use files::{FileConnector, IdentityFiles};
pub use sender::{Body, Failure, whole};
pub use server::SpiffeId;
pub use session::{Answer, ConnectionFacts, Forwarded, ProofUse, Proving, Session};

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
