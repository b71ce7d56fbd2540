//! What a worker keeps from one request to the next.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tls_session_binding::decide;
use tls_session_binding::error::Refusal;
use tls_session_binding::rule::Rule;
use tls_session_binding::state::State;

use super::Verify;
use super::host::Connection;
use crate::downstream::CONNECTIONS;
use crate::{clock, log};

/// Most lines of one worker in one second: a flood of bad requests must not become a flood of log lines.
const LINES_PER_SECOND: u64 = 10;

thread_local! {
    /// What is known under each configuration. One that another takes the place of is dropped later.
    static STATES: RefCell<Vec<(Weak<Verify>, State)>> = const { RefCell::new(Vec::new()) };
    /// Seen `jti`, in buckets of the core's whose number is bounded. It outlives configurations: a changed
    /// rule must not have a proof accepted twice.
    static SEEN: RefCell<HashMap<String, Vec<u8>>> = RefCell::default();
    /// A second, and how many lines it has had.
    static LINES: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Has `act` use what this worker knows under a configuration.
pub(super) fn with_state<R>(verify: &Arc<Verify>, act: impl FnOnce(&mut State) -> R) -> R {
    STATES.with_borrow_mut(|states| {
        let is_it = |(of, _): &(Weak<Verify>, State)| of.as_ptr() == Arc::as_ptr(verify);
        if let Some((_, state)) = states.iter_mut().find(|entry| is_it(entry)) {
            return act(state);
        }
        states.retain(|(of, _)| of.strong_count() > 0);
        // Nothing is shared, so there is no other generation to tell from.
        let mut state = State::new(verify.config.cache, 0);
        let result = act(&mut state);
        states.push((Arc::downgrade(verify), state));
        result
    })
}

/// Drops what is known of a connection, because it ends.
pub fn purge(id: u64) {
    let Some(facts) = CONNECTIONS.recall(id) else {
        return;
    };
    STATES.with_borrow_mut(|states| {
        for (of, state) in states {
            let Some(verify) = of.upgrade() else { continue };
            let before = state.bindings();
            let connection = Connection::ending(&verify.config, id, facts.clone());
            decide::purge(&verify.config, state, &connection);
            verify.counts.count_purged(before, state.bindings());
        }
    });
}

/// A bucket of seen `jti`.
pub(super) fn recall(key: &str) -> Vec<u8> {
    SEEN.with_borrow(|seen| seen.get(key).cloned().unwrap_or_default())
}

/// Replaces a bucket of seen `jti`.
pub(super) fn remember(key: &str, bucket: &[u8]) {
    SEEN.with_borrow_mut(|seen| seen.insert(key.to_owned(), bucket.to_vec()));
}

/// Writes that a request is refused, or would be. A line names rules and reasons, never bytes of a request.
pub(super) fn log_refusal(what: &str, rule: &Rule, refusal: Refusal, connection: Option<u64>) {
    let now = clock::now();
    let (second, lines) = LINES.get();
    let lines = if second == now { lines } else { 0 };
    LINES.set((now, lines + 1));
    if lines >= LINES_PER_SECOND {
        return;
    }
    let connection = connection.map_or_else(|| "?".to_owned(), |id| id.to_string());
    let (reason, rule) = (refusal.reason(), &rule.name);
    let line = format!("{what}: reason={reason} rule={rule} connection={connection}");
    match refusal {
        Refusal::Client(_) => log::info(&line),
        Refusal::Host(_) => log::error(&line),
    }
}
