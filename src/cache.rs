//! The binding cache: what was verified on a connection, so that the same token and proof cost a
//! comparison instead of a signature (draft section 3.3.2).
//!
//! It has two layers under the same rules. [`BindingCache`] keeps the presented bytes themselves in the
//! VM's memory: a hit hashes nothing. [`SharedBindings`] keeps digests in the host's shared memory, from
//! where a new VM on the same connections finds them again.
//!
//! The rules: only a [`VerifiedBinding`] gets in, and only a connection-level one; an entry stands for
//! one `Authorization` value with one set of claims and one proof on one exporter value under one set of
//! rules for proofs, all compared byte for byte, with the certificate that the connection shows, and for no
//! longer than [`VerifiedBinding::valid_until`]. Losing an entry costs a verification, never correctness.

mod connection;
mod local;
mod shared;

pub use local::BindingCache;
pub use shared::{SharedBindings, SharedEntry};

use subtle::ConstantTimeEq as _;

use crate::digest::CertificateThumbprint;
use crate::limits::SHARED_SLOT_BYTES;
use crate::verify::VerifiedBinding;

/// How much the cache may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// Connections with bindings; 0 turns the cache off.
    pub connections: usize,
    /// Bindings of one connection.
    pub tokens_per_connection: usize,
    /// Longest time, in seconds, that a binding stands without a new verification.
    pub max_binding_age: Option<u64>,
}

impl CacheLimits {
    /// The most that is ever written to the host's shared memory, in bytes.
    #[must_use]
    pub const fn shared_bytes(&self) -> u64 {
        let entries =
            (self.tokens_per_connection as u64).saturating_mul(shared::ENTRY_BYTES as u64);
        (self.connections as u64).saturating_mul(SHARED_SLOT_BYTES.saturating_add(entries))
    }

    /// The last second, since 1970, at which a binding verified at `now` may be used; `None` if it may
    /// not be kept at all.
    fn last_second(&self, binding: &VerifiedBinding<'_>, now: u64) -> Option<u64> {
        let keep = self.connections > 0 && binding.is_connection_level();
        let aged = self
            .max_binding_age
            .map_or(u64::MAX, |age| now.saturating_add(age));
        keep.then(|| binding.valid_until().min(aged))
    }
}

/// That exactly this was verified on this connection before, and still stands. Only the cache makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct KnownBinding {
    last_second: u64,
    thumbprint: CertificateThumbprint,
}

impl KnownBinding {
    /// The client certificate it was verified with.
    #[must_use]
    pub const fn thumbprint(&self) -> &CertificateThumbprint {
        &self.thumbprint
    }
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
