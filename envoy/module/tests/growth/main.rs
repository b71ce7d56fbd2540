//! Connections come and go, tokens too, and leave nothing behind. Alone in its process, for it counts
//! memory.
//!
//! `CONNECTIONS` and `TOKENS` in the environment are their numbers.
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
#[path = "../hooks/exports.rs"]
mod exports;
mod memory;
#[path = "../hooks/module.rs"]
mod module;

use std::ops::Range;
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

use envoy::{Buffer, Stream, pointer};
use exports::{http_config_destroy, http_config_new, http_destroy, http_new, http_request};
use module::{Module, Socket};

/// Connections, and tokens, by default.
const ROUNDS: usize = 2_000;
/// One test at a time counts memory.
static COUNTING: Mutex<()> = Mutex::new(());

#[test]
fn connections_that_came_and_went_leave_no_memory_behind() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
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
    run(rounds("CONNECTIONS"));
    let grown = memory::live().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} bytes more than before");
}

#[test]
fn however_many_tokens_one_connection_sees_its_proofs_are_bounded_and_made_again() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let module = Module::load();
    let (_client, _server) = module.connect(80);
    let prover = Prover::load();
    let run = |tokens: Range<usize>| {
        let prove = |_, number| prover.proof(81, number);
        tokens.fold(String::new(), prove)
    };
    // As many proofs as a connection keeps. Their table may double once more, as each adds and removes one.
    run(0..5_000);
    let (first, before) = (prover.proof(81, 0), memory::live());
    let end = 5_000 + rounds("TOKENS");
    let last = run(5_000..end);
    let grown = memory::live().saturating_sub(before);
    assert!(grown < 512 * 1024, "{grown} bytes more than before");
    assert_eq!(prover.proof(81, end - 1), last, "still remembered");
    assert_ne!(prover.proof(81, 0), first, "forgotten, and made again");
}

/// The HTTP filter `prover`.
struct Prover(*const std::ffi::c_void);

impl Prover {
    fn load() -> Self {
        let (name, config) = (Buffer::of(b"prover"), Buffer::of(b"{}"));
        Self(http_config_new(null_mut(), name, config))
    }

    /// What a request on a connection is sent with.
    fn proof(&self, connection: u64, token: usize) -> String {
        let stream = Stream::default();
        stream.connection.set(connection);
        let authorization = ("authorization".to_owned(), format!("Bearer token-{token}"));
        stream.headers.borrow_mut().extend([authorization]);
        let filter = http_new(self.0, pointer(&stream));
        assert_eq!(http_request(pointer(&stream), filter, true), 0);
        http_destroy(filter);
        stream.headers.borrow()["session-binding-proof"].clone()
    }
}

impl Drop for Prover {
    fn drop(&mut self) {
        http_config_destroy(self.0);
    }
}

/// The number in this variable of the environment.
fn rounds(variable: &str) -> usize {
    let number = std::env::var(variable).ok();
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or(ROUNDS)
}
