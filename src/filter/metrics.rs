//! Counters: one for every way a request can end.

use crate::error::{ClientFault, HostFault, Refusal};
use crate::policy::Verdict;

use super::host;

/// Prefix of every metric of this filter.
const PREFIX: &str = "session_binding";

/// How often the cache answered, and how much it holds.
pub(super) struct CacheMetrics {
    hit: Option<u32>,
    shared_hit: Option<u32>,
    miss: Option<u32>,
    /// Bindings held by all VMs together.
    bindings: Option<u32>,
}

impl CacheMetrics {
    /// Defines them.
    pub(super) fn define() -> Self {
        let counter = |name| host::define_counter(&format!("{PREFIX}.cache.{name}"));
        Self {
            hit: counter("hit"),
            shared_hit: counter("shared_hit"),
            miss: counter("miss"),
            bindings: host::define_gauge(&format!("{PREFIX}.cache.bindings")),
        }
    }

    /// Counts an answer from this VM's memory.
    pub(super) fn count_hit(&self) {
        host::add(self.hit, 1);
    }

    /// Counts an answer from the host's shared memory.
    pub(super) fn count_shared_hit(&self) {
        host::add(self.shared_hit, 1);
    }

    /// Counts a proof that has to be verified.
    pub(super) fn count_miss(&self) {
        host::add(self.miss, 1);
    }

    /// Brings the gauge from what this VM held to what it holds.
    pub(super) fn count_change(&self, before: usize, after: usize) {
        let signed = |count| i64::try_from(count).unwrap_or(i64::MAX);
        host::add(self.bindings, signed(after) - signed(before));
    }
}

/// The defined counters of one plugin.
pub(super) struct Metrics {
    admitted: Vec<(Verdict, Option<u32>)>,
    refused: Vec<(Refusal, Option<u32>)>,
}

impl Metrics {
    /// Defines every counter, so that each is there from the start and reads 0.
    pub(super) fn define() -> Self {
        let clients = ClientFault::ALL.iter().copied().map(Refusal::Client);
        let hosts = HostFault::ALL.iter().copied().map(Refusal::Host);
        let admitted = |verdict: Verdict| {
            (
                verdict,
                host::define_counter(&format!("{PREFIX}.admitted.{}", verdict.name())),
            )
        };
        let refused = |refusal: Refusal| {
            let blame = match refusal {
                Refusal::Client(_) => "refused",
                Refusal::Host(_) => "failed",
            };
            (
                refusal,
                host::define_counter(&format!("{PREFIX}.{blame}.{}", refusal.reason())),
            )
        };
        Self {
            admitted: Verdict::ALL.into_iter().map(admitted).collect(),
            refused: clients.chain(hosts).map(refused).collect(),
        }
    }

    /// Counts a request that goes on.
    pub(super) fn count_admitted(&self, verdict: Verdict) {
        let counter = self.admitted.iter().find(|(known, _)| *known == verdict);
        host::add(counter.and_then(|(_, id)| *id), 1);
    }

    /// Counts a request that ends here.
    pub(super) fn count_refused(&self, refusal: Refusal) {
        let counter = self.refused.iter().find(|(known, _)| *known == refusal);
        host::add(counter.and_then(|(_, id)| *id), 1);
    }
}
