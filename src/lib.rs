//! Verifier of TLS-session-bound access tokens (draft-mw-oauth-tls-session-bound-tokens).
//!
//! This crate is the pure core: a request and a [`decide::Host`] in, a [`decide::Decision`] out. It writes no
//! log, counts nothing and answers nothing. `filter`, compiled for wasm32 only, is the Proxy-Wasm glue around
//! it: gather, decide, act.
//!
//! One module holds one construct of one specification; arrows go one way, see `ARCHITECTURE.md`.
#![forbid(unsafe_code)]

pub mod access_token;
pub mod algorithm;
pub mod authorization;
pub mod base64url;
pub mod cache;
pub mod certificate;
pub mod certificates;
pub mod challenge;
pub mod claims;
pub mod config;
pub mod confirmation;
pub mod decide;
pub mod digest;
pub mod elsewhere;
pub mod error;
pub mod exporter;
pub mod host_map;
pub mod json;
pub mod limits;
pub mod numeric_date;
pub mod pattern;
pub mod policy;
pub mod proof;
pub mod public_key;
pub mod replay;
pub mod request;
pub mod rule;
pub mod signature;
pub mod state;
pub mod target_uri;
pub mod verify;

#[cfg(target_arch = "wasm32")]
mod filter;
