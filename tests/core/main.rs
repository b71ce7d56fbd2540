//! Tests of the pure core through its public interface: vectors, attacks, mutation, properties.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails may panic"
)]

#[path = "../common/mod.rs"]
mod common;

mod cache;
mod catalogue;
mod certificate;
mod config;
mod json;
mod laws;
mod model;
mod mutation;
mod properties;
mod published;
mod run;
mod units;
mod vectors;
mod wycheproof;
