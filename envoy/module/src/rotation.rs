//! Rotation of the own certificate: when a connection to a server is over.
//!
//! Envoy offers no call that drains a pool of connections. But filter state that is shared with the
//! upstream side is part of a pool's key. So the HTTP filter `generation` gives every request the number
//! of the identity that a new connection would use: when it changes, requests move to new connections at
//! once. The old ones end here: when no request is known on them, and when their certificate ends.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::clock::now;

/// Filter state that holds [`generation`].
pub const GENERATION: &str = "tls_session_binding.generation";

static CURRENT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// Requests on this worker whose connection is not known yet: it may be any.
    static UNPLACED: Cell<usize> = const { Cell::new(0) };
    /// The generation at the last look at this worker's connections.
    static LOOKED_AT: Cell<u64> = const { Cell::new(0) };
    /// Whether an old connection would have ended, had all requests been placed.
    static PUT_OFF: Cell<bool> = const { Cell::new(false) };
}

/// The number of the identity that a new connection to a server would use.
///
/// One number is told for all clusters: a filter on the listener does not know where a request will go.
#[must_use]
pub fn generation() -> u64 {
    CURRENT.load(SeqCst)
}

/// An own certificate has been replaced, and new connections use the new one already.
pub fn advance() {
    CURRENT.fetch_add(1, SeqCst);
}

/// Has the socket read, so that it sees that its connection is over.
pub type Alarm = Box<dyn Fn()>;

/// How long a connection to a server may live.
pub struct Tenure {
    generation: u64,
    /// End of the own certificate, in seconds since the epoch.
    ends_at: u64,
    /// Requests under way.
    requests: Cell<usize>,
    /// Whether requests are known here at all: not so in a cluster without prover.
    used: Cell<bool>,
    alarm: RefCell<Option<Alarm>>,
}

impl Tenure {
    /// Of a connection that was opened as `generation`, with a certificate that ends at `ends_at`.
    #[must_use]
    pub fn new(generation: u64, ends_at: u64) -> Self {
        Self {
            generation,
            ends_at,
            requests: Cell::new(0),
            used: Cell::new(false),
            alarm: RefCell::new(None),
        }
    }

    /// Calls `alarm` when the connection may be over, until [`Tenure::detach`].
    pub fn attach(&self, alarm: Alarm) {
        self.alarm.replace(Some(alarm));
    }

    /// The socket is closed: it must not be called again.
    pub fn detach(&self) {
        self.alarm.take();
    }

    /// Whether the connection was opened with a certificate that has been replaced.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.generation != generation()
    }

    /// Whether the connection has to end now.
    #[must_use]
    pub fn is_over(&self) -> bool {
        now() >= self.ends_at || (self.is_old() && self.used.get() && self.is_idle())
    }

    /// Has the socket close the connection if it is over.
    pub fn end_if_over(&self) {
        if self.is_over()
            && let Some(alarm) = &*self.alarm.borrow()
        {
            alarm();
        }
    }

    /// A request goes out here, until [`Tenure::finish`].
    pub(crate) fn begin(&self) {
        self.used.set(true);
        self.requests.set(self.requests.get() + 1);
    }

    /// It has ended.
    pub(crate) fn finish(&self) {
        self.requests.set(self.requests.get().saturating_sub(1));
        if self.is_old() {
            self.end_if_over();
        }
    }

    fn is_idle(&self) -> bool {
        if self.requests.get() > 0 {
            return false;
        }
        let unplaced = UNPLACED.get() > 0;
        PUT_OFF.set(PUT_OFF.get() || unplaced);
        !unplaced
    }
}

/// Whether this worker's connections are to be looked at: an identity has been replaced since the last
/// look, or the end of an old connection was put off and need not be any more.
#[must_use]
pub fn is_due() -> bool {
    let generation = generation();
    let due = LOOKED_AT.replace(generation) != generation;
    let put_off = PUT_OFF.get() && UNPLACED.get() == 0;
    if put_off {
        PUT_OFF.set(false);
    }
    due || put_off
}

/// A request whose connection is not known yet.
#[derive(Debug)]
pub struct Unplaced(());

impl Unplaced {
    /// Until it is dropped, no old connection counts as idle.
    #[must_use]
    pub fn new() -> Self {
        UNPLACED.set(UNPLACED.get() + 1);
        Self(())
    }
}

impl Default for Unplaced {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Unplaced {
    fn drop(&mut self) {
        UNPLACED.set(UNPLACED.get().saturating_sub(1));
    }
}
