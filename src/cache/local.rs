//! The layer in the VM's own memory.

use std::collections::{HashMap, VecDeque};

use subtle::ConstantTimeEq as _;

use super::{CacheLimits, KnownBinding, Presentation};
use crate::exporter::{EXPORTER_BYTES, ExporterValue};
use crate::limits::MAX_CACHED_BYTES;
use crate::verify::VerifiedBinding;

/// Verified bindings by connection, with the presented bytes themselves.
///
/// Bounded by connections, by bindings of each connection and by bytes in total. A connection that
/// exceeds its own share loses its oldest binding and no one else's; when the whole is full, the
/// connection that came first goes.
pub struct BindingCache {
    limits: CacheLimits,
    connections: HashMap<Key, Bindings>,
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

/// How much is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Held {
    bindings: usize,
    bytes: usize,
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

    /// Keeps what was verified at `now`, if it may be kept.
    pub fn insert(&mut self, binding: &VerifiedBinding<'_>, now: u64) {
        if let Some(last_second) = self.limits.last_second(binding, now) {
            let known = KnownBinding {
                last_second,
                thumbprint: *binding.thumbprint(),
            };
            self.restore(&binding.presentation(), known);
        }
    }

    /// Keeps what [`super::SharedBindings`] found.
    pub fn restore(&mut self, presented: &Presentation<'_>, known: KnownBinding) {
        let limit = self.limits.tokens_per_connection;
        let bindings = self.connection(presented.exporter);
        let before = bindings.held();
        bindings.push(Binding::new(presented, known), limit);
        let after = bindings.held();
        self.held.bindings = self.held.bindings - before.bindings + after.bindings;
        self.held.bytes = self.held.bytes - before.bytes + after.bytes;
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

    fn connection(&mut self, exporter: &ExporterValue) -> &mut Bindings {
        let key = *exporter.as_bytes();
        self.connections.entry(key).or_insert_with(|| {
            self.arrived += 1;
            self.arrivals.push_back(Arrival {
                number: self.arrived,
                key,
            });
            Bindings {
                arrival: self.arrived,
                oldest_first: VecDeque::new(),
            }
        })
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
        if let Some(bindings) = self.connections.remove(key) {
            let gone = bindings.held();
            self.held.bindings -= gone.bindings;
            self.held.bytes -= gone.bytes;
        }
    }
}

fn is_current(connections: &HashMap<Key, Bindings>, arrival: &Arrival) -> bool {
    connections
        .get(&arrival.key)
        .is_some_and(|bindings| bindings.arrival == arrival.number)
}

/// The bindings of one connection.
struct Bindings {
    arrival: u64,
    oldest_first: VecDeque<Binding>,
}

impl Bindings {
    fn find(&self, presented: &Presentation<'_>, now: u64) -> Option<KnownBinding> {
        let locator = locator(presented.proof);
        let stands = |binding: &&Binding| {
            binding.locator == locator
                && binding.rule == presented.rule
                && now <= binding.known.last_second
                && binding.is_of(presented)
        };
        self.oldest_first
            .iter()
            .find(stands)
            .map(|binding| binding.known)
    }

    /// Adds one in the place of an earlier one for the same bytes, or of the oldest beyond `limit`.
    fn push(&mut self, new: Binding, limit: usize) {
        self.oldest_first
            .retain(|binding| binding.rule != new.rule || binding.presented != new.presented);
        while self.oldest_first.len() >= limit {
            self.oldest_first.pop_front();
        }
        self.oldest_first.push_back(new);
    }

    fn held(&self) -> Held {
        let bytes = self
            .oldest_first
            .iter()
            .map(|binding| binding.presented.len())
            .sum();
        Held {
            bindings: self.oldest_first.len(),
            bytes,
        }
    }
}

struct Binding {
    /// The proof's last bytes: they tell the bindings of a connection apart at a glance.
    locator: u64,
    rule: u16,
    known: KnownBinding,
    /// `Authorization`, and the proof behind it.
    presented: Box<[u8]>,
    authorization_bytes: usize,
}

impl Binding {
    fn new(presented: &Presentation<'_>, known: KnownBinding) -> Self {
        Self {
            locator: locator(presented.proof),
            rule: presented.rule,
            known,
            presented: [presented.authorization, presented.proof].concat().into(),
            authorization_bytes: presented.authorization.len(),
        }
    }

    fn is_of(&self, presented: &Presentation<'_>) -> bool {
        let parts = self.presented.split_at_checked(self.authorization_bytes);
        parts.is_some_and(|(authorization, proof)| {
            same(authorization, presented.authorization) & same(proof, presented.proof)
        })
    }
}

fn locator(proof: &[u8]) -> u64 {
    proof
        .last_chunk()
        .map_or(0, |tail| u64::from_le_bytes(*tail))
}

/// Whether two secrets are equal, in a time that depends on their lengths alone. Eight bytes at a time:
/// this is the price of every hit.
fn same(one: &[u8], other: &[u8]) -> bool {
    let (words, rest) = one.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    if one.len() != other.len() {
        return false;
    }
    let differences = words.iter().zip(other_words).fold(0, |bits, (a, b)| {
        bits | (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b))
    });
    (differences.ct_eq(&0) & rest.ct_eq(other_rest)).into()
}
