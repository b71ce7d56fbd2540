//! The layer in the VM's own memory.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use super::connection::{Held, KnownConnection};
use super::{CacheLimits, KnownBinding, Presentation};
use crate::certificate::ClientCertificate;
use crate::exporter::{EXPORTER_BYTES, ExporterValue};
use crate::limits::MAX_CACHED_BYTES;
use crate::verify::VerifiedBinding;

/// Verified bindings by connection, with the presented bytes themselves, and the connection's parsed
/// certificate.
///
/// Bounded by connections, by bindings of each connection and by bytes in total. A connection that
/// exceeds its own share loses its oldest binding and no one else's; when the whole is full, the
/// connection that came first goes.
pub struct BindingCache {
    limits: CacheLimits,
    connections: HashMap<Key, KnownConnection>,
    /// Connections in the order of their arrival. Entries of connections that are gone, or came again,
    /// are stale and skipped.
    arrivals: VecDeque<Arrival>,
    arrived: u64,
    held: Held,
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
        }
    }

    /// What exactly this was verified to be on this connection, if it was and still stands at `now`.
    #[must_use]
    pub fn find(&self, presented: &Presentation<'_>, now: u64) -> Option<KnownBinding> {
        self.connections
            .get(presented.exporter.as_bytes())?
            .find(presented, now)
    }

    /// The certificate of a connection on which a proof was verified before.
    #[must_use]
    pub fn certificate(&self, exporter: &ExporterValue) -> Option<&ClientCertificate> {
        let connection = self.connections.get(exporter.as_bytes())?;
        Some(&connection.certificate)
    }

    /// Keeps the certificate that something was verified with at `now`, and what was verified if it may
    /// be kept.
    pub fn insert(&mut self, binding: &VerifiedBinding<'_>, now: u64) {
        let presented = binding.presentation();
        let certificate = binding.certificate();
        let known = self.limits.last_second(binding, now).map(|last_second| {
            let thumbprint = *certificate.thumbprint();
            KnownBinding {
                last_second,
                thumbprint,
            }
        });
        self.keep(&presented, certificate, known);
    }

    /// Keeps what [`super::SharedBindings`] found on a connection with this certificate.
    pub fn restore(
        &mut self,
        presented: &Presentation<'_>,
        certificate: &ClientCertificate,
        known: KnownBinding,
    ) {
        self.keep(presented, certificate, Some(known));
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

    fn keep(
        &mut self,
        presented: &Presentation<'_>,
        certificate: &ClientCertificate,
        known: Option<KnownBinding>,
    ) {
        if self.limits.connections == 0 {
            return;
        }
        let limit = self.limits.tokens_per_connection;
        let (before, connection) = self.connection(presented.exporter, certificate);
        if let Some(known) = known {
            connection.push(presented, known, limit);
        }
        let after = connection.held();
        self.held.bindings = self.held.bindings - before.bindings + after.bindings;
        self.held.bytes = self.held.bytes - before.bytes + after.bytes;
        self.make_room();
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

    fn make_room(&mut self) {
        let limits = self.limits;
        while self.connections.len() > limits.connections || self.held.bytes > MAX_CACHED_BYTES {
            let Some(arrival) = self.arrivals.pop_front() else {
                return;
            };
            if is_current(&self.connections, &arrival) {
                self.forget(&arrival.key);
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
