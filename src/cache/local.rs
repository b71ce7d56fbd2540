//! The layer in the VM's own memory.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::connection::{Held, KnownConnection};
use super::{CacheLimits, KnownBinding};
use crate::certificate::ClientCertificate;
use crate::exporter::{EXPORTER_BYTES, ExporterValue};
use crate::limits::MAX_CACHED_BYTES;
use crate::verify::{Presentation, VerifiedBinding};

/// Verified bindings by connection, with the presented bytes themselves.
///
/// Bounded by connections, by bindings of each connection and by bytes in total. A connection that
/// exceeds its own share loses its oldest binding and no one else's; when the whole is full, the
/// connection that came first goes, unless it was used since the last time that it was its turn.
pub struct BindingCache {
    limits: CacheLimits,
    connections: HashMap<Key, KnownConnection>,
    /// Connections in the order in which they are considered for eviction. Entries of connections that are
    /// gone, or came again, are stale and skipped.
    arrivals: VecDeque<Arrival>,
    arrived: u64,
    held: Held,
    evicted: usize,
}

type Key = [u8; EXPORTER_BYTES];

struct Arrival {
    number: u64,
    key: Key,
}

impl BindingCache {
    /// An empty cache.
    #[must_use]
    pub fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            connections: HashMap::new(),
            arrivals: VecDeque::new(),
            arrived: 0,
            held: Held::default(),
            evicted: 0,
        }
    }

    /// What exactly this was verified to be on this connection, if it was and still stands at `now`, and the
    /// proof's bytes. `shown` is the certificate as the host shows it now.
    #[must_use]
    pub fn find(
        &self,
        presented: &Presentation<'_>,
        shown: &[u8],
        now: u64,
    ) -> Option<(KnownBinding, Rc<[u8]>)> {
        self.connections
            .get(presented.exporter.as_bytes())?
            .find(presented, shown, now)
    }

    /// Keeps what was verified at `now`, if it may be kept.
    pub fn insert(&mut self, binding: &VerifiedBinding<'_>, now: u64) {
        let certificate = binding.certificate();
        if let Some(last_second) = self.limits.last_second(binding, now) {
            let thumbprint = *certificate.thumbprint();
            let known = KnownBinding {
                last_second,
                thumbprint,
            };
            self.restore(&binding.presentation(), certificate, known);
        }
    }

    /// Keeps what [`super::SharedBindings`] found on a connection with this certificate.
    pub fn restore(
        &mut self,
        presented: &Presentation<'_>,
        certificate: &ClientCertificate,
        known: KnownBinding,
    ) {
        let limit = self.limits.tokens_per_connection;
        self.forget_other(presented.exporter, certificate);
        let (before, connection) = self.connection(presented.exporter, certificate);
        let evicted = connection.push(presented, known, limit);
        let after = connection.held();
        self.held.bindings = self.held.bindings - before.bindings + after.bindings;
        self.held.bytes = self.held.bytes - before.bytes + after.bytes;
        self.evicted += evicted;
        self.make_room();
    }

    /// Forgets a connection.
    pub fn purge(&mut self, exporter: &ExporterValue) {
        self.forget(exporter.as_bytes());
        if self.arrivals.len() > 2 * self.connections.len() + 64 {
            self.arrivals
                .retain(|arrival| is_current(&self.connections, arrival));
        }
    }

    /// How many bindings are held.
    #[must_use]
    pub const fn bindings(&self) -> usize {
        self.held.bindings
    }

    /// How many bindings went for want of room, ever.
    #[must_use]
    pub const fn evicted(&self) -> usize {
        self.evicted
    }

    /// Two connections must never show one exporter value. If they do, the later one is believed.
    fn forget_other(&mut self, exporter: &ExporterValue, certificate: &ClientCertificate) {
        let known = self.connections.get(exporter.as_bytes());
        if known.is_some_and(|known| !known.is_of(certificate)) {
            self.forget(exporter.as_bytes());
        }
    }

    /// A connection, known from now on, and what it held before.
    fn connection(
        &mut self,
        exporter: &ExporterValue,
        certificate: &ClientCertificate,
    ) -> (Held, &mut KnownConnection) {
        match self.connections.entry(*exporter.as_bytes()) {
            Entry::Occupied(entry) => {
                let connection = entry.into_mut();
                (connection.held(), connection)
            }
            Entry::Vacant(entry) => {
                self.arrived += 1;
                self.arrivals.push_back(Arrival {
                    number: self.arrived,
                    key: *entry.key(),
                });
                let connection = KnownConnection::new(self.arrived, certificate.clone());
                (Held::default(), entry.insert(connection))
            }
        }
    }

    /// Each connection that was used gets one more turn, so that this ends.
    fn make_room(&mut self) {
        let limits = self.limits;
        while self.connections.len() > limits.connections || self.held.bytes > MAX_CACHED_BYTES {
            let Some(arrival) = self.arrivals.pop_front() else {
                return;
            };
            let current = self.connections.get(&arrival.key);
            match current.filter(|connection| connection.arrival == arrival.number) {
                None => {}
                Some(connection) if connection.is_used.take() => self.arrivals.push_back(arrival),
                Some(connection) => {
                    self.evicted += connection.held().bindings;
                    self.forget(&arrival.key);
                }
            }
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(connection) = self.connections.remove(key) {
            let gone = connection.held();
            self.held.bindings -= gone.bindings;
            self.held.bytes -= gone.bytes;
        }
    }
}

fn is_current(connections: &HashMap<Key, KnownConnection>, arrival: &Arrival) -> bool {
    connections
        .get(&arrival.key)
        .is_some_and(|connection| connection.arrival == arrival.number)
}
