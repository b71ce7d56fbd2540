//! Connections of one worker by their id.
//!
//! A connection stays on its worker, so every worker thread has maps of its own and needs no lock.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::thread::LocalKey;

/// What is known of connections, by id.
pub struct Registry<T: 'static>(&'static LocalKey<Entries<T>>);

/// Storage behind a [`Registry`].
pub type Entries<T> = RefCell<HashMap<u64, Rc<T>>>;

impl<T> Registry<T> {
    /// A registry over thread-local storage.
    #[must_use]
    pub const fn over(storage: &'static LocalKey<Entries<T>>) -> Self {
        Self(storage)
    }

    /// Keeps `value` for connection `id` until [`Registry::forget`].
    pub fn remember(&self, id: u64, value: T) -> Rc<T> {
        let value = Rc::new(value);
        self.0
            .with_borrow_mut(|entries| entries.insert(id, Rc::clone(&value)));
        value
    }

    /// What is known of connection `id` on this worker.
    #[must_use]
    pub fn recall(&self, id: u64) -> Option<Rc<T>> {
        self.0.with_borrow(|entries| entries.get(&id).cloned())
    }

    /// Drops what is known of connection `id`.
    pub fn forget(&self, id: u64) {
        // Dropped after the borrow has ended.
        let _entry = self.0.with_borrow_mut(|entries| entries.remove(&id));
    }

    /// Calls `visit` for every connection of this worker.
    pub fn each(&self, visit: impl FnMut(&Rc<T>)) {
        self.0
            .with_borrow(|entries| entries.values().for_each(visit));
    }
}
