//! Clients' connections that the module's thread can call on: Envoy gives their filter an event on its worker.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long a connection lives on after its client's certificate has ended, in seconds: requests that were
/// sent before are answered. The verifier refuses new ones.
pub const GRACE: u64 = 5;

/// Schedules an event of one connection's filter on its worker.
pub trait Bell: Send {
    /// Schedules it.
    fn ring(&self);
}

/// A watched connection, until it is dropped.
#[derive(Debug)]
pub struct Watched(Key);

/// When the client's certificate ends, and what tells connections apart.
type Key = (u64, u64);

static BELLS: Mutex<BTreeMap<Key, Box<dyn Bell>>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Watches a connection whose client's certificate ends at `ends_at`, in seconds since the epoch.
#[must_use]
pub fn watch(ends_at: Option<u64>, bell: Box<dyn Bell>) -> Watched {
    let key = (ends_at.unwrap_or(u64::MAX), NEXT.fetch_add(1, Relaxed));
    bells().insert(key, bell);
    Watched(key)
}

/// Rings for every connection whose client's certificate has ended, and the grace with it.
pub fn ring_ended(now: u64) {
    let ended = ..=(now.saturating_sub(GRACE + 1), u64::MAX);
    for bell in bells().range(ended).map(|(_, bell)| bell) {
        bell.ring();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        bells().remove(&self.0);
    }
}

fn bells() -> MutexGuard<'static, BTreeMap<Key, Box<dyn Bell>>> {
    BELLS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    struct Ringing(Arc<AtomicU64>);

    impl Bell for Ringing {
        fn ring(&self) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn a_connection_is_called_on_when_its_certificate_and_the_grace_have_ended_and_not_after_it_has_gone()
     {
        let rings = Arc::new(AtomicU64::new(0));
        let bell = || Box::new(Ringing(Arc::clone(&rings)));
        let (ended, without) = (watch(Some(10), bell()), watch(None, bell()));
        let after = |now| {
            ring_ended(now);
            rings.load(Relaxed)
        };
        // The last second of a certificate is a part of its life.
        assert_eq!(after(10 + GRACE), 0);
        assert_eq!(after(11 + GRACE), 1);
        drop(ended);
        assert_eq!(after(1_000), 1);
        drop(without);
    }
}
