//! Open connections of a listener or a cluster: when trust changes, they are judged again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::Error;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::verifier::Recheck;

/// What wakes a connection's worker, so that it asks [`Place::is_withdrawn`]. It is called on another thread,
/// and not after the place has been left.
pub trait Wake: Send {
    /// Has the worker read.
    fn wake(&self);
}

/// All open connections of a listener or a cluster whose other end has shown a certificate.
#[derive(Default)]
pub struct Connections(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    open: HashMap<u64, Open>,
    /// Whom they are judged by, once trust has changed.
    latest: Option<Arc<dyn Recheck>>,
}

struct Open {
    chain: Arc<[CertificateDer<'static>]>,
    withdrawn: Arc<AtomicBool>,
    wake: Box<dyn Wake>,
}

/// A connection's place among them; dropping it leaves.
pub struct Place {
    connections: Arc<Connections>,
    number: u64,
    withdrawn: Arc<AtomicBool>,
}

impl Connections {
    /// Takes in a connection whose chain was accepted by a verifier that may not be the latest.
    ///
    /// # Errors
    /// When the latest does not accept it.
    pub fn take_in(
        self: &Arc<Self>,
        chain: &[CertificateDer<'_>],
        wake: Box<dyn Wake>,
    ) -> Result<Place, Error> {
        let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
        let withdrawn = Arc::new(AtomicBool::new(false));
        let open = Open {
            chain: Arc::clone(&chain),
            withdrawn: Arc::clone(&withdrawn),
            wake,
        };
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        state.open.insert(number, open);
        let latest = state.latest.clone();
        drop(state);
        let place = Place {
            connections: Arc::clone(self),
            number,
            withdrawn,
        };
        // Trust may have changed since the handshake began.
        if let Some(latest) = latest {
            latest.recheck(&chain, UnixTime::now())?;
        }
        Ok(place)
    }

    /// Trust has changed: whoever is not accepted any more is woken to be closed. Returns how many.
    pub fn judge(&self, latest: &Arc<dyn Recheck>) -> usize {
        let mut state = self.state();
        state.latest = Some(Arc::clone(latest));
        let chains = state.open.iter();
        let chains: Vec<_> = chains
            .map(|(number, open)| (*number, Arc::clone(&open.chain)))
            .collect();
        drop(state);
        // Workers must not wait for signatures: nothing is locked meanwhile.
        let now = UnixTime::now();
        let refused = chains
            .into_iter()
            .filter(|(_, chain)| latest.recheck(chain, now).is_err());
        refused.filter(|(number, _)| self.withdraw(*number)).count()
    }

    fn withdraw(&self, number: u64) -> bool {
        let state = self.state();
        let Some(open) = state.open.get(&number) else {
            return false;
        };
        open.withdrawn.store(true, Relaxed);
        open.wake.wake();
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether the connection is not accepted any more.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _left = self.connections.state().open.remove(&self.number);
    }
}
