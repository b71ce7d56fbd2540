//! What a verifier keeps from one request to the next. All of it is bounded, and losing all of it costs
//! verifications, never correctness; the memory of seen `jti` is the host's.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use crate::cache::{BindingCache, CacheLimits};
use crate::certificates::Certificates;
use crate::limits::MAX_CARRIED;

/// A number for a configuration and the build that applies it: a build that verifies otherwise does not trust
/// what an earlier one left in shared memory.
#[must_use]
pub fn generation(build: &str, configuration: &[u8]) -> u64 {
    let digest = Sha256::new()
        .chain_update((build.len() as u64).to_le_bytes())
        .chain_update(build)
        .chain_update(configuration)
        .finalize();
    let head = digest.first_chunk();
    head.map_or(0, |head| u64::from_le_bytes(*head))
}

/// The state of one configured verifier in one worker.
pub struct State {
    /// Stands for the configuration and the code that applies it: what was verified under another is not
    /// known under this one.
    pub(crate) generation: u64,
    pub(crate) bindings: BindingCache,
    pub(crate) certificates: Certificates,
    pub(crate) carried: Carried,
}

impl State {
    /// Nothing is known. `generation` is a number for configuration and code.
    #[must_use]
    pub fn new(limits: CacheLimits, generation: u64) -> Self {
        Self {
            generation,
            bindings: BindingCache::new(limits),
            certificates: Certificates::default(),
            carried: Carried::default(),
        }
    }

    /// How many bindings are held.
    #[must_use]
    pub const fn bindings(&self) -> usize {
        self.bindings.bindings()
    }

    /// How many bindings went for want of room, ever.
    #[must_use]
    pub const fn evicted(&self) -> usize {
        self.bindings.evicted()
    }
}

/// What admitted requests have presented, in case the host runs the filter on one of them again: by then the
/// proof is gone from its headers. Only a number that nobody can guess stands in the host's state of the
/// request, and each is good once.
#[derive(Default)]
pub(crate) struct Carried {
    numbers: RandomState,
    count: u64,
    oldest_first: VecDeque<(u64, Presented)>,
}

/// What an admitted request has presented.
#[derive(Clone)]
pub(crate) enum Presented {
    /// A proof of its connection.
    ConnectionLevel(Rc<[u8]>),
    /// A proof for the request alone.
    PerRequest,
}

impl Carried {
    /// Keeps what was presented, and gives the number for it.
    pub(crate) fn keep(&mut self, presented: Presented) -> u64 {
        self.count += 1;
        let number = self.numbers.hash_one(self.count);
        if self.oldest_first.len() >= MAX_CARRIED {
            self.oldest_first.pop_front();
        }
        self.oldest_first.push_back((number, presented));
        number
    }

    /// What was presented under a number, once.
    pub(crate) fn take(&mut self, number: u64) -> Option<Presented> {
        let is_it = |(own, _): &(u64, Presented)| *own == number;
        let place = self.oldest_first.iter().position(is_it)?;
        let (_, presented) = self.oldest_first.remove(place)?;
        Some(presented)
    }
}
