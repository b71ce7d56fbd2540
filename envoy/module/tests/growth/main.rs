//! Connections come and go, and leave nothing behind. Alone in its process, for it counts memory.
//!
//! `CONNECTIONS` in the environment is their number.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test's stand-in for Envoy"
)]

#[path = "../hooks/envoy.rs"]
mod envoy;
mod memory;
#[path = "../hooks/module.rs"]
mod module;

use module::{Module, Socket};

/// Connections by default.
const CONNECTIONS: usize = 2_000;

#[test]
fn connections_that_came_and_went_leave_no_memory_behind() {
    let wanted = std::env::var("CONNECTIONS")
        .ok()
        .and_then(|number| number.parse().ok());
    let module = Module::load();
    let run = |count: usize| {
        for _ in 0..count {
            drop(module.connect(70));
            // Half a handshake, and one that is none.
            let server = Socket::new(module.downstream, 90);
            server
                .envoy
                .from_peer
                .borrow_mut()
                .extend([0x16, 3, 1, 2, 0, 1, 0]);
            server.read();
        }
    };
    run(500);
    let before = memory::live();
    run(wanted.unwrap_or(CONNECTIONS));
    let grown = memory::live().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} bytes more than before");
}
