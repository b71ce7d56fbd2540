//! The client against a real rustls server on loopback that verifies with the verifier's rules.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod command;
mod connections;
mod credentials;
mod identities;
mod proxy;
mod requests;
mod rotation;
mod server;
mod verify;

use tls_session_binding_client::http::{HttpVersion, Options, TlsVersion};

fn every_kind_of_connection() -> impl Iterator<Item = Options> {
    [TlsVersion::Tls13, TlsVersion::Tls12]
        .into_iter()
        .flat_map(|tls| {
            [HttpVersion::Http1, HttpVersion::Http2].map(|http| Options::new(tls, http))
        })
}
