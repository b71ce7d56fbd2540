//! Requests that wait for a connection, in the order in which they came: a queue for each cluster and worker.
//!
//! Envoy does not tell a filter that its request has got a connection. So whatever may have given one
//! (a finished handshake, a finished request, a further attempt, the passing of time) wakes a queue. That schedules an
//! event of its oldest request, and this event [`sweep`]s the queue: those that have a connection, or
//! have waited too long, go on. A sweep gives up after a few that have none, so that a cluster which
//! never connects costs its neighbours nothing; the passing of time alone looks at all.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

/// Requests without connection that a sweep looks at, the oldest first: within a pool they are served first.
const OLDEST: usize = 4;
/// As many more where the sweep before stopped: the oldest may all wait for an endpoint that is gone.
const FURTHER: usize = 12;

/// A request that waits. Only `alarm` is called from other threads than its worker.
pub trait Parked: Send {
    /// Whether it need not wait any more: it has got a connection, or cannot get one.
    fn is_ready(&self) -> bool;
    /// Schedules an event on its worker, which calls [`sweep`] for its cluster.
    fn alarm(&self);
    /// Goes on, with a connection or without.
    fn resume(&self);
}

/// One cluster's requests; its number is unique in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cluster(u64);

impl Cluster {
    /// Another one.
    #[must_use]
    pub fn another() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// A place among those that wait; dropping it leaves.
pub struct Place {
    cluster: Cluster,
    queue: Arc<Queue>,
    number: u64,
}

#[derive(Default)]
struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: BTreeMap<u64, Waiting>,
    /// Whether the next sweep looks at all.
    all: bool,
    /// Where the last one stopped.
    stopped_at: u64,
}

struct Waiting {
    parked: Box<dyn Parked>,
    until: Instant,
    alarmed: bool,
}

static QUEUES: Mutex<Vec<Weak<Queue>>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// This worker's queues: of clusters for which somebody waits.
    static MINE: RefCell<HashMap<Cluster, Arc<Queue>>> = RefCell::default();
}

/// Waits at the end of this worker's queue for `cluster`, at most until `until`.
#[must_use]
pub fn park(cluster: Cluster, parked: Box<dyn Parked>, until: Instant) -> Place {
    let queue =
        MINE.with_borrow_mut(|mine| Arc::clone(mine.entry(cluster).or_insert_with(Queue::known)));
    let number = NEXT.fetch_add(1, Relaxed);
    queue.state().waiting.insert(
        number,
        Waiting {
            parked,
            until,
            alarmed: false,
        },
    );
    Place {
        cluster,
        queue,
        number,
    }
}

/// A request to `cluster` on this worker has ended: its connection may be another's now.
pub fn wake(cluster: Cluster) {
    if let Some(queue) = mine(cluster) {
        queue.wake();
    }
}

/// A connection of this worker has come or gone. Nobody tells of which cluster it is.
pub fn wake_worker() {
    let queues: Vec<_> = MINE.with_borrow(|mine| mine.values().cloned().collect());
    for queue in queues {
        queue.wake();
    }
}

/// Time has passed, for every worker and every request.
pub fn wake_all() {
    let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    queues.retain(|queue| {
        queue.upgrade().is_some_and(|queue| {
            queue.state().all = true;
            queue.wake();
            true
        })
    });
}

/// Resumes those on this worker that wait for `cluster` and need not any more, or have waited too long.
pub fn sweep(cluster: Cluster) {
    let Some(queue) = mine(cluster) else { return };
    let now = Instant::now();
    let mut look = queue.begin();
    // One at a time: a resumed request may end others, or itself.
    while let Some(waiting) = queue.take_ready(&mut look, now) {
        waiting.parked.resume();
    }
}

fn mine(cluster: Cluster) -> Option<Arc<Queue>> {
    MINE.with_borrow(|mine| mine.get(&cluster).cloned())
}

/// How far a sweep has come.
struct Look {
    /// The number of the next request.
    next: u64,
    /// Looks without success that are left before it turns to `then`.
    left: usize,
    then: Option<u64>,
}

impl Queue {
    fn known() -> Arc<Self> {
        let queue = Arc::new(Self::default());
        QUEUES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::downgrade(&queue));
        queue
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if let Some(mut first) = self.state().waiting.first_entry()
            && !first.get().alarmed
        {
            first.get_mut().alarmed = true;
            first.get().parked.alarm();
        }
    }

    fn begin(&self) -> Look {
        let mut state = self.state();
        if let Some(first) = state.waiting.values_mut().find(|one| one.alarmed) {
            first.alarmed = false;
        }
        let all = std::mem::take(&mut state.all);
        Look {
            next: 0,
            left: if all { usize::MAX } else { OLDEST },
            then: (!all).then_some(state.stopped_at),
        }
    }

    fn take_ready(&self, look: &mut Look, now: Instant) -> Option<Waiting> {
        let mut state = self.state();
        loop {
            let Some((&number, one)) = state.waiting.range(look.next..).next() else {
                // At the end: the next sweep begins anew.
                state.stopped_at = 0;
                return None;
            };
            look.next = number + 1;
            if one.until <= now || one.parked.is_ready() {
                return state.waiting.remove(&number);
            }
            look.left -= 1;
            if look.left > 0 {
                continue;
            }
            match look.then.take() {
                None => {
                    state.stopped_at = look.next;
                    return None;
                }
                Some(then) => {
                    look.next = look.next.max(then);
                    look.left = FURTHER;
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (left, empty) = {
            let mut state = self.queue.state();
            let left = state.waiting.remove(&self.number);
            (left, state.waiting.is_empty())
        };
        if empty {
            MINE.with_borrow_mut(|mine| {
                // A place outlives its wait, and by now others may wait in another queue.
                if let Entry::Occupied(entry) = mine.entry(self.cluster)
                    && Arc::ptr_eq(entry.get(), &self.queue)
                {
                    entry.remove();
                }
            });
        } else if left.is_some_and(|left| left.alarmed) {
            // Its event is lost with it: another one has to carry the alarm.
            self.queue.wake();
        }
    }
}

#[cfg(test)]
mod tests;
