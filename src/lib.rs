//! Verifier of TLS-session-bound access tokens (draft-mw-oauth-tls-session-bound-tokens).
//!
//! This crate is the pure core: bytes and facts in, an [`policy::Admitted`] or an [`error::Refusal`]
//! out. It reads no clock, writes no log, calls no host. `filter`, compiled for wasm32 only, is the
//! Proxy-Wasm glue around it: gather, decide, act.
//!
//! One module holds one construct of one specification; arrows go one way, see `ARCHITECTURE.md`.
#![forbid(unsafe_code)]

pub mod access_token;
pub mod algorithm;
pub mod authorization;
pub mod base64url;
pub mod cache;
pub mod certificate;
pub mod challenge;
pub mod config;
pub mod confirmation;
pub mod error;
pub mod exporter;
pub mod json;
pub mod limits;
pub mod numeric_date;
pub mod policy;
pub mod proof;
pub mod public_key;
pub mod replay;
pub mod rule;
pub mod signature;
pub mod target_uri;
pub mod verify;

#[cfg(target_arch = "wasm32")]
mod filter;
