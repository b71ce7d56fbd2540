//! What is known of one connection: its client certificate, and its verified bindings.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::{KnownBinding, same};
use crate::certificate::ClientCertificate;
use crate::claims::TokenClaims;
use crate::limits::KNOWN_CONNECTION_BYTES;
use crate::verify::Presentation;

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
    /// Whether it was used since it was last considered for eviction.
    pub(super) is_used: Cell<bool>,
    certificate: ClientCertificate,
    oldest_first: VecDeque<Binding>,
    /// Sum of what they present.
    presented_bytes: usize,
}

impl KnownConnection {
    pub(super) const fn new(arrival: u64, certificate: ClientCertificate) -> Self {
        Self {
            arrival,
            is_used: Cell::new(false),
            certificate,
            oldest_first: VecDeque::new(),
            presented_bytes: 0,
        }
    }

    pub(super) fn is_of(&self, certificate: &ClientCertificate) -> bool {
        self.certificate.thumbprint() == certificate.thumbprint()
    }

    /// `shown` is the certificate as the host shows it now: another one than that of the verification
    /// belongs to another connection, whatever its exporter value.
    pub(super) fn find(
        &self,
        presented: &Presentation<'_>,
        shown: &[u8],
        now: u64,
    ) -> Option<(KnownBinding, Rc<[u8]>)> {
        if !self.certificate.is_shown_as(shown) {
            return None;
        }
        let locator = locator(presented.proof);
        let stands = |binding: &&Binding| {
            binding.locator == locator
                && now <= binding.known.last_second
                && binding.is_of(presented)
        };
        let binding = self.oldest_first.iter().find(stands)?;
        self.is_used.set(true);
        Some((binding.known, Rc::clone(&binding.proof)))
    }

    /// Adds one in the place of an earlier one for the same bytes, or of the oldest beyond `limit`. Returns
    /// how many went for want of room.
    pub(super) fn push(
        &mut self,
        presented: &Presentation<'_>,
        known: KnownBinding,
        limit: usize,
    ) -> usize {
        let new = Binding::new(presented, known);
        let same = |binding: &Binding| binding.locator == new.locator && binding.is_of(presented);
        let earlier = self.oldest_first.iter().position(same);
        let earlier = earlier.and_then(|place| self.oldest_first.remove(place));
        self.presented_bytes -= earlier.map_or(0, |binding| binding.bytes());
        let mut evicted = 0;
        while self.oldest_first.len() >= limit {
            let oldest = self.oldest_first.pop_front();
            self.presented_bytes -= oldest.map_or(0, |binding| binding.bytes());
            evicted += 1;
        }
        self.presented_bytes += new.bytes();
        self.oldest_first.push_back(new);
        evicted
    }

    pub(super) fn held(&self) -> Held {
        Held {
            bindings: self.oldest_first.len(),
            bytes: KNOWN_CONNECTION_BYTES + self.certificate.bytes() + self.presented_bytes,
        }
    }
}

struct Binding {
    /// The proof's last bytes: they tell the bindings of a connection apart at a glance.
    locator: u64,
    rule: u16,
    known: KnownBinding,
    authorization: Box<[u8]>,
    claims: Option<TokenClaims>,
    proof: Rc<[u8]>,
}

impl Binding {
    fn new(presented: &Presentation<'_>, known: KnownBinding) -> Self {
        Self {
            locator: locator(presented.proof),
            rule: presented.rule,
            known,
            authorization: presented.authorization.into(),
            claims: presented.claims.cloned(),
            proof: presented.proof.into(),
        }
    }

    fn is_of(&self, presented: &Presentation<'_>) -> bool {
        self.rule == presented.rule
            && self.claims.as_ref() == presented.claims
            && (same(&self.authorization, presented.authorization)
                & same(&self.proof, presented.proof))
    }

    fn bytes(&self) -> usize {
        self.authorization.len()
            + self.claims.as_ref().map_or(0, TokenClaims::bytes)
            + self.proof.len()
    }
}

fn locator(proof: &[u8]) -> u64 {
    proof
        .last_chunk()
        .map_or(0, |tail| u64::from_le_bytes(*tail))
}
