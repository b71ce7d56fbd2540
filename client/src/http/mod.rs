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
mod error;
mod files;
mod options;
mod sender;
mod server;
mod session;
mod validity;

pub use challenge::BearerChallenge;
pub use client::Client;
pub use connector::{Connector, trust_anchors};
pub use error::{CONNECT_TIMEOUT, HttpError, MAX_RESPONSE_BYTES, REQUEST_TIMEOUT};
pub use files::{FileConnector, IdentityFiles};
pub use options::{HttpVersion, Options, TlsVersion};
pub use sender::{Body, Failure, whole};
pub use server::SpiffeId;
pub use session::{Answer, ConnectionFacts, Forwarded, ProofUse, Proving, Session};
