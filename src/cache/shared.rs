//! The layer in the host's shared memory: one value per slot, slots from a bounded set, each of one
//! connection at a time.
//!
//! The value is untrusted when it is read: it survives configurations, modules and VMs, and other
//! plugins can write it. So an entry is a digest over everything it stands for.

use std::cell::OnceCell;

use sha2::{Digest as _, Sha256};

use super::{CacheLimits, KnownBinding, same};
use crate::certificate::ClientCertificate;
use crate::digest::CertificateThumbprint;
use crate::verify::{Presentation, VerifiedBinding};

/// First byte of a value: the format's version.
const VERSION: u8 = 2;

const DIGEST_BYTES: usize = 32;
pub(super) const ENTRY_BYTES: usize = DIGEST_BYTES + 8;

/// The bindings of one connection in a slot of shared memory.
#[derive(Debug, Clone, Copy)]
pub struct SharedBindings {
    limits: CacheLimits,
    /// Stands for the configuration under which bindings were verified.
    generation: u64,
    connection_id: u64,
}

impl SharedBindings {
    /// The bindings of a connection under a configuration; `None` if the cache is off.
    #[must_use]
    pub fn new(limits: CacheLimits, generation: u64, connection_id: u64) -> Option<Self> {
        (limits.connections > 0).then_some(Self {
            limits,
            generation,
            connection_id,
        })
    }

    /// Number of the connection's slot, below [`CacheLimits::connections`].
    #[must_use]
    pub fn slot(&self) -> u64 {
        self.connection_id % (self.limits.connections as u64).max(1)
    }

    /// Looks at the slot's value for one presentation on a connection with this certificate.
    #[must_use]
    pub const fn look_up<'a>(
        &self,
        value: Vec<u8>,
        presented: Presentation<'a>,
        certificate: &'a ClientCertificate,
    ) -> SharedEntry<'a> {
        SharedEntry {
            bindings: *self,
            value,
            presented,
            certificate,
            digest: OnceCell::new(),
        }
    }

    /// Whether the slot's value is this connection's, so that it goes when the connection does.
    #[must_use]
    pub fn is_held(&self, value: &[u8]) -> bool {
        self.entries(value)
            .is_some_and(|entries| !entries.is_empty())
    }

    /// The entries of this connection; `None` for another's value or one that is none.
    fn entries<'v>(&self, value: &'v [u8]) -> Option<&'v [[u8; ENTRY_BYTES]]> {
        let (&version, value) = value.split_first()?;
        let (owner, entries) = value.split_first_chunk()?;
        let (entries, rest) = entries.as_chunks();
        let ours = version == VERSION && u64::from_le_bytes(*owner) == self.connection_id;
        (ours && rest.is_empty()).then_some(entries)
    }

    fn digest(
        &self,
        presented: &Presentation<'_>,
        thumbprint: &CertificateThumbprint,
    ) -> [u8; DIGEST_BYTES] {
        let mut hash = Sha256::new();
        hash.update(self.generation.to_le_bytes());
        hash.update(presented.rule.to_le_bytes());
        hash.update(presented.exporter.as_bytes());
        hash.update(thumbprint.as_bytes());
        if let Some(claims) = presented.claims {
            claims.update(&mut hash);
        }
        hash.update((presented.authorization.len() as u64).to_le_bytes());
        hash.update(presented.authorization);
        hash.update(presented.proof);
        hash.finalize().into()
    }
}

/// A slot's value, and what is looked for or will be added in it. The digest of what is presented is
/// computed once, and not at all while there is nothing to compare it with.
pub struct SharedEntry<'a> {
    bindings: SharedBindings,
    value: Vec<u8>,
    presented: Presentation<'a>,
    certificate: &'a ClientCertificate,
    digest: OnceCell<[u8; DIGEST_BYTES]>,
}

impl SharedEntry<'_> {
    /// What exactly this was verified to be, if the slot's value says so and it still stands at `now`.
    pub fn find(&self, now: u64) -> Option<KnownBinding> {
        let entries = self.bindings.entries(&self.value)?;
        let (_, last_second) = entries
            .iter()
            .map(split)
            .find(|(known, _)| same(*known, self.digest()))?;
        let thumbprint = *self.certificate.thumbprint();
        (now <= last_second).then_some(KnownBinding {
            last_second,
            thumbprint,
        })
    }

    /// The slot's new value with what was verified at `now`, if that is what was presented and may be
    /// kept. What another connection had in the slot goes, as does this connection's oldest binding
    /// beyond its share.
    #[must_use]
    pub fn insert(&self, binding: &VerifiedBinding<'_>, now: u64) -> Option<Vec<u8>> {
        let SharedBindings {
            limits,
            connection_id,
            ..
        } = self.bindings;
        if binding.presentation() != self.presented {
            return None;
        }
        let last_second = limits.last_second(binding, now)?;
        let kept = self.bindings.entries(&self.value).unwrap_or_default();
        let others = || kept.iter().filter(|entry| split(entry).0 != self.digest());
        let excess = (others().count() + 1).saturating_sub(limits.tokens_per_connection);
        let mut next = Vec::with_capacity(self.value.len() + 9 + ENTRY_BYTES);
        next.push(VERSION);
        next.extend_from_slice(&connection_id.to_le_bytes());
        others()
            .skip(excess)
            .for_each(|entry| next.extend_from_slice(entry));
        next.extend_from_slice(self.digest());
        next.extend_from_slice(&last_second.to_le_bytes());
        Some(next)
    }

    fn digest(&self) -> &[u8; DIGEST_BYTES] {
        self.digest.get_or_init(|| {
            self.bindings
                .digest(&self.presented, self.certificate.thumbprint())
        })
    }
}

fn split(entry: &[u8; ENTRY_BYTES]) -> (&[u8; DIGEST_BYTES], u64) {
    let (digest, last_second) = entry
        .split_first_chunk()
        .unwrap_or((&[0; DIGEST_BYTES], &[]));
    let last_second = last_second
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes));
    (digest, last_second)
}
