//! Envoy dynamic module for TLS-session-bound access tokens.
//!
//! | Envoy loads | as | what it does |
//! |---|---|---|
//! | `tls` | transport socket | mutual TLS with rustls, whose exporter Envoy's own socket does not offer |
//! | `publish` | network filter | facts of a client's handshake as filter state, where the verifier reads them |
//! | `prover` | upstream HTTP filter | the proof that fits the connection a request goes out on |
//! | `generation` | HTTP filter of a client's sidecar | which identity new connections use: a part of the pools' key |
//! | `verify` | HTTP filter of a server's sidecar | the verifier itself, in place of the Proxy-Wasm filter |
//!
//! [`socket`] is a connection's state machine; [`endpoint`] and [`generation`] are what connections
//! share; [`downstream`] and [`upstream`] what is known of those whose handshake is done. Only the
//! module `abi` has `unsafe`.
#![deny(unsafe_code)]

mod abi;
pub mod certificate;
pub mod clock;
pub mod config;
#[cfg(feature = "panic-on-demand")]
mod demand;
pub mod downstream;
pub mod endpoint;
pub mod failure;
pub mod files;
pub mod generation;
pub mod http_filter;
pub mod log;
pub mod metrics;
pub mod open;
pub mod prover;
pub mod publish;
pub mod registry;
pub mod rotation;
pub mod socket;
pub mod spiffe;
pub mod ticker;
pub mod upstream;
pub mod verifier;
pub mod verify;
pub mod waiting;
pub mod watched;

#[cfg(test)]
mod testing;
