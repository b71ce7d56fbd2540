//! Requests that wait for a connection, in the order in which they came, worker by worker.
//!
//! Envoy does not tell a filter that its request has got a connection. So whatever may have given one
//! (a finished handshake, a finished request, the passing of time) calls [`wake`]. That schedules an
//! event of the oldest waiting request, and this event [`sweep`]s: it goes through all that wait on
//! its worker and resumes those that have a connection, or have waited too long.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

/// A request that waits. Only `alarm` is called from other threads than its worker.
pub trait Parked: Send {
    /// Whether it has got a connection.
    fn has_connection(&self) -> bool;
    /// Schedules an event on its worker, which calls [`sweep`].
    fn alarm(&self);
    /// Goes on, with a connection or without.
    fn resume(&self);
}

/// A place among those that wait; dropping it leaves.
pub struct Place {
    queue: Arc<Queue>,
    number: u64,
}

#[derive(Default)]
struct Queue(Mutex<BTreeMap<u64, Waiting>>);

struct Waiting {
    parked: Box<dyn Parked>,
    until: Instant,
    alarmed: bool,
}

static QUEUES: Mutex<Vec<Weak<Queue>>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static QUEUE: Arc<Queue> = Queue::of_this_worker();
}

/// Waits at the end of this worker's queue, at most until `until`.
#[must_use]
pub fn park(parked: Box<dyn Parked>, until: Instant) -> Place {
    let queue = QUEUE.with(Arc::clone);
    let number = NEXT.fetch_add(1, Relaxed);
    queue.waiting().insert(
        number,
        Waiting {
            parked,
            until,
            alarmed: false,
        },
    );
    Place { queue, number }
}

/// Whether a request waits on this worker.
#[must_use]
pub fn anyone() -> bool {
    QUEUE.with(|queue| !queue.waiting().is_empty())
}

/// Something on this worker may have given a waiting request its connection.
pub fn wake() {
    QUEUE.with(|queue| queue.wake());
}

/// Time has passed, for every worker.
pub fn wake_all() {
    let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    queues.retain(|queue| {
        queue.upgrade().is_some_and(|queue| {
            queue.wake();
            true
        })
    });
}

/// Resumes all on this worker that have a connection, or have waited too long.
pub fn sweep() {
    let queue = QUEUE.with(Arc::clone);
    for waiting in queue.waiting().values_mut() {
        waiting.alarmed = false;
    }
    let now = Instant::now();
    // One at a time: a resumed request may end others, or itself.
    while let Some(waiting) = queue.take_ready(now) {
        waiting.parked.resume();
    }
}

impl Queue {
    fn of_this_worker() -> Arc<Self> {
        let queue = Arc::new(Self::default());
        QUEUES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::downgrade(&queue));
        queue
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if let Some(mut first) = self.waiting().first_entry()
            && !first.get().alarmed
        {
            first.get_mut().alarmed = true;
            first.get().parked.alarm();
        }
    }

    fn take_ready(&self, now: Instant) -> Option<Waiting> {
        let mut waiting = self.waiting();
        let ready = |one: &Waiting| one.until <= now || one.parked.has_connection();
        let number = waiting
            .iter()
            .find(|(_, one)| ready(one))
            .map(|(number, _)| *number)?;
        waiting.remove(&number)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let left = self.queue.waiting().remove(&self.number);
        // Its event is lost with it: another one has to carry the alarm.
        if left.is_some_and(|left| left.alarmed) {
            self.queue.wake();
        }
    }
}

#[cfg(test)]
mod tests;
