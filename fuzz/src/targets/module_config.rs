//! Configurations of the native module.

use tls_session_binding_module::config::{Config, Direction};

/// What is refused is refused with a mistake.
pub fn run(input: &[u8]) {
    for direction in [Direction::Downstream, Direction::Upstream] {
        if let Err(mistakes) = Config::parse(input, direction) {
            assert!(!mistakes.to_string().is_empty());
        }
    }
}
