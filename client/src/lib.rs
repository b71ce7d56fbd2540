//! The client side of TLS-session-bound access tokens.
//!
//! A token bound to a TLS session is worth something only on a connection whose client holds the
//! certificate's private key. The client shows that with a session-binding proof: a small JWS that
//! names the token, the connection's exporter value and the time, signed with the certificate's
//! key. Signed once, it is sent with every request of that token on that connection.
//!
//! | module | what it does | feature |
//! |---|---|---|
//! | [`explain`] | says which rule a request is refused by, and what was compared | |
//! | [`exporter`] | exporter value of a rustls connection | |
//! | [`signer`] | signs with the private key of the client certificate | |
//! | [`pem`] | reads certificates and keys, and says what is wrong with them | |
//! | [`proof`] | makes a session-binding proof | |
//! | [`proofs`] | the proofs of one connection, signed once per token | |
//! | `http` | connects, sends requests with token and proof, signs or connects again when that helps | `http` |
//! | `dev` | development CA, certificates and access tokens | `dev` |
//!
//! Without default features the crate neither opens connections nor reads the clock: time is an
//! argument.
#![forbid(unsafe_code)]

#[cfg(feature = "dev")]
pub mod dev;
pub mod explain;
pub mod exporter;
#[cfg(feature = "http")]
pub mod http;
mod jws;
pub mod pem;
pub mod proof;
pub mod proofs;
pub mod signer;

#[cfg(test)]
mod testing;

pub use tls_session_binding::access_token::AccessToken;
pub use tls_session_binding::digest::{AccessTokenHash, CertificateThumbprint};
pub use tls_session_binding::exporter::ExporterValue;
