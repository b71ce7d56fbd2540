//! What is fuzzed. A target panics when a law is broken.

pub mod access_token;
pub mod certificate;
pub mod config;
pub mod host_values;
pub mod json;
pub mod module_config;
pub mod proof;
pub mod request;
pub mod shared_memory;
pub mod socket;
pub mod target_uri;
