//! The memory of seen `jti` (V-i): a proof that carries one is accepted once on its connection.
//!
//! The memory is a fixed number of buckets, each a value in a store that the caller reads and writes
//! with compare-and-swap. An entry is kept for as long as its proof could be accepted again and never
//! dropped before; a full bucket refuses. Entries are keyed with the exporter value, so a connection
//! that takes over a bucket from an earlier one finds nothing of its own there.

use sha2::{Digest as _, Sha256};

use crate::error::{ClientFault, HostFault, Refusal};
use crate::exporter::ExporterValue;

/// Groups of connections that share buckets.
const GROUPS: u64 = 64;

/// Buckets of one group; a `jti` falls into one of them by its hash.
const BUCKETS_PER_GROUP: u64 = 64;

/// Most entries in a bucket. One connection alone can have `64 * 512` live `jti`: with the default
/// window of 330 seconds, about 100 new ones a second. All buckets together hold at most 32 MiB.
pub const MAX_ENTRIES: usize = 512;

/// Most live `jti` of one connection.
pub const MAX_JTIS: u64 = BUCKETS_PER_GROUP * MAX_ENTRIES as u64;

/// Most bytes of all buckets together.
pub const MAX_BYTES: u64 = GROUPS * MAX_JTIS * ENTRY_BYTES as u64;

/// First byte of a bucket: the format's version.
const VERSION: u8 = 1;

const ENTRY_BYTES: usize = 16;

/// Where a `jti` is remembered, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    bucket: u64,
    digest: [u8; 8],
}

impl Slot {
    /// The slot of `jti` on a connection. `connection_id` is the host's number of the connection; it
    /// only spreads connections over buckets.
    #[must_use]
    pub fn new(connection_id: u64, exporter: &ExporterValue, jti: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(exporter.as_bytes());
        hash.update(jti.as_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let (digest, rest) = hash.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let spread = rest.first().copied().unwrap_or_default();
        let bucket =
            connection_id % GROUPS * BUCKETS_PER_GROUP + u64::from(spread) % BUCKETS_PER_GROUP;
        Self {
            bucket,
            digest: *digest,
        }
    }

    /// Number of the bucket, below 4096.
    #[must_use]
    pub const fn bucket(&self) -> u64 {
        self.bucket
    }

    /// The bucket's new value once this `jti` is remembered until `until`, given its present value.
    /// Times are in seconds since 1970.
    ///
    /// # Errors
    /// [`ClientFault::ProofReplayed`], [`ClientFault::ReplayMemoryFull`];
    /// [`HostFault::ReplayMemoryUnusable`] for bytes that are not a bucket: they are left alone, since
    /// what they replaced might have held this `jti`.
    pub fn remember(&self, bucket: &[u8], until: u64, now: u64) -> Result<Vec<u8>, Refusal> {
        let entries = parse(bucket).ok_or(HostFault::ReplayMemoryUnusable)?;
        let mut next = Vec::with_capacity(bucket.len() + 1 + ENTRY_BYTES);
        next.push(VERSION);
        for entry in entries.filter(|entry| entry.until >= now) {
            if entry.digest == self.digest {
                return Err(ClientFault::ProofReplayed.into());
            }
            entry.write(&mut next);
        }
        if next.len() > MAX_ENTRIES * ENTRY_BYTES {
            return Err(ClientFault::ReplayMemoryFull.into());
        }
        Entry {
            digest: self.digest,
            until,
        }
        .write(&mut next);
        Ok(next)
    }
}

struct Entry {
    digest: [u8; 8],
    until: u64,
}

impl Entry {
    fn read(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let mut entry = Self {
            digest: [0; 8],
            until: 0,
        };
        let (digest, until) = bytes.split_at(entry.digest.len());
        entry.digest.copy_from_slice(digest);
        entry.until = until
            .first_chunk()
            .map_or(0, |until| u64::from_le_bytes(*until));
        entry
    }

    fn write(&self, bucket: &mut Vec<u8>) {
        bucket.extend_from_slice(&self.digest);
        bucket.extend_from_slice(&self.until.to_le_bytes());
    }
}

fn parse(bucket: &[u8]) -> Option<impl Iterator<Item = Entry>> {
    let entries = match bucket {
        [] => bucket,
        [VERSION, entries @ ..] => entries,
        _ => return None,
    };
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    let sound = rest.is_empty() && entries.len() <= MAX_ENTRIES;
    sound.then(|| entries.iter().map(Entry::read))
}
