//! Envoy dynamic module for TLS-session-bound access tokens.
//!
//! The transport socket `tls` terminates TLS with rustls, whose exporter Envoy's own socket does
//! not offer. The network filter `publish` puts the exporter value and the client certificate into
//! the filter state of the connection, where the verifier reads them.
//!
//! [`socket`] is the connection's state machine, [`endpoint`] what its connections share,
//! [`established`] what a handshake has shown. Only the module `abi` has `unsafe`.
#![deny(unsafe_code)]

mod abi;
pub mod config;
pub mod endpoint;
pub mod established;
pub mod publish;
pub mod socket;
