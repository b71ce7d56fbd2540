//! What is known of one connection: its client certificate, and its verified bindings.

use std::collections::VecDeque;

use super::{KnownBinding, Presentation, same};
use crate::certificate::ClientCertificate;
use crate::limits::KNOWN_CONNECTION_BYTES;

/// How much is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) bindings: usize,
    pub(super) bytes: usize,
}

/// A connection on which at least one proof was verified.
pub(super) struct KnownConnection {
    /// Number of its arrival among all connections.
    pub(super) arrival: u64,
    pub(super) certificate: ClientCertificate,
    oldest_first: VecDeque<Binding>,
    /// Sum of what they present.
    presented_bytes: usize,
}

impl KnownConnection {
    pub(super) const fn new(arrival: u64, certificate: ClientCertificate) -> Self {
        Self {
            arrival,
            certificate,
            oldest_first: VecDeque::new(),
            presented_bytes: 0,
        }
    }

    pub(super) fn find(&self, presented: &Presentation<'_>, now: u64) -> Option<KnownBinding> {
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
    pub(super) fn push(&mut self, presented: &Presentation<'_>, known: KnownBinding, limit: usize) {
        let new = Binding::new(presented, known);
        let same = |binding: &Binding| {
            binding.locator == new.locator && binding.rule == new.rule && binding.is_of(presented)
        };
        let earlier = self.oldest_first.iter().position(same);
        let earlier = earlier.and_then(|place| self.oldest_first.remove(place));
        self.presented_bytes -= earlier.map_or(0, |binding| binding.presented.len());
        while self.oldest_first.len() >= limit {
            let oldest = self.oldest_first.pop_front();
            self.presented_bytes -= oldest.map_or(0, |binding| binding.presented.len());
        }
        self.presented_bytes += new.presented.len();
        self.oldest_first.push_back(new);
    }

    pub(super) fn held(&self) -> Held {
        Held {
            bindings: self.oldest_first.len(),
            bytes: KNOWN_CONNECTION_BYTES + self.presented_bytes,
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
