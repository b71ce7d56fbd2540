//! The rules of the protocol, in front of a real Envoy with the shipped configuration.
//!
//! Each test starts an Envoy of its own and puts all its cases to it.
#![forbid(unsafe_code)]

use tls_session_binding_e2e::stack::Verifier;

mod attacks;
mod awaited;
mod binding;
mod brief;
mod cache;
mod carriers;
mod certificates;
mod chain;
mod configuration;
mod counts;
mod credentials;
mod demonstration;
mod domains;
mod elsewhere;
mod endings;
mod endpoint;
mod facts;
mod foreign;
mod headers;
mod host_calls;
mod issuers;
mod load;
mod logs;
mod module;
mod moved;
mod names;
mod negotiation;
mod opaque;
mod panics;
mod policy;
mod readiness;
mod records;
mod reload;
mod sidecars;
mod sidecars_attempts;
mod sidecars_bodies;
mod sidecars_changes;
mod sidecars_load;
mod sidecars_rotation;
mod sidecars_streams;
mod signatures;
mod statistics;
mod threats;
mod tokens;
mod vocabulary;
mod withheld;

/// Who verifies where a test's subject is the verifier. `tests/native` runs the same tests with the other.
const VERIFIER: Verifier = Verifier::Wasm;
