//! Counters of what happens with nearly every request. A call of the host for each would be among the
//! dearest steps of a hit, so they count here and are carried over now and then. What a VM that traps
//! has counted since is lost with it.

use std::cell::Cell;
use std::time::Duration;

use super::host;

/// How often all that was counted is carried over.
pub(super) const PERIOD: Duration = Duration::from_millis(250);

/// A counter of the host's, and what is not carried over yet.
pub(super) struct Tally {
    counter: Option<u32>,
    pending: Cell<i64>,
}

impl Tally {
    /// Defines the counter, so that it is there from the start and reads 0.
    pub(super) fn define(name: &str) -> Self {
        Self {
            counter: host::define_counter(name),
            pending: Cell::new(0),
        }
    }

    /// Counts one more.
    pub(super) fn count(&self) {
        self.pending.set(self.pending.get().saturating_add(1));
    }

    /// Tells the host.
    pub(super) fn carry_over(&self) {
        host::add(self.counter, self.pending.take());
    }
}

/// A plugin that ends, because another configuration takes its place, takes no count along.
impl Drop for Tally {
    fn drop(&mut self) {
        self.carry_over();
    }
}
