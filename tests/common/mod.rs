//! What the tests share: fixed keys, recipes for requests, and a host in memory that runs the decision.
//!
//! Whoever includes this module may use a part of it only.
#![allow(dead_code, reason = "shared by several test crates")]

pub(crate) mod der;
pub(crate) mod files;
pub(crate) mod foreign;
pub(crate) mod foreign_jws;
#[path = "../../client/src/explain/host_map.rs"]
pub(crate) mod host_map;
pub(crate) mod judge;
pub(crate) mod keys;
pub(crate) mod parts;
pub(crate) mod recipe;
pub(crate) mod scene;
pub(crate) mod sendable;
pub(crate) mod template;
pub(crate) mod verified;
