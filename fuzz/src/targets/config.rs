//! Configurations of the filter.

use serde_json::Value;
use tls_session_binding::config::Config;
use tls_session_binding::limits::{MAX_CACHED_CONNECTIONS, MAX_CACHED_TOKENS, MAX_CONFIG_BYTES};

/// What is accepted is one JSON object within the bounds; what is refused is refused with a mistake.
pub fn run(input: &[u8]) {
    match Config::parse(input) {
        Ok(config) => {
            assert!(input.len() <= MAX_CONFIG_BYTES);
            let value: Value = serde_json::from_slice(input).expect("JSON");
            assert!(value.is_object());
            assert!(config.cache.connections <= MAX_CACHED_CONNECTIONS);
            assert!(config.cache.tokens_per_connection <= MAX_CACHED_TOKENS);
            assert!(!config.exporter.property.is_empty());
            assert_eq!(Config::parse(input), Ok(config));
        }
        Err(mistakes) => assert!(!mistakes.to_string().is_empty()),
    }
}
