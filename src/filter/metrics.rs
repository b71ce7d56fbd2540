//! Counters: one for every way a request can end, and every rule it can end under.

use crate::decide::{CacheEvent, Verdict};
use crate::error::{ClientFault, HostFault, Refusal};
use crate::policy::Policy;
use crate::rule::Rule;

use super::host;
use super::tally::Tally;

/// Prefix of every metric of this filter.
const PREFIX: &str = "session_binding";

/// The metrics of one plugin's requests.
pub(super) struct Metrics {
    /// By number of the rule.
    rules: Vec<RuleMetrics>,
    verification: Option<u32>,
}

struct RuleMetrics {
    /// By [`Verdict`].
    admitted: Vec<Tally>,
    refused: Faults,
    observed: Faults,
}

/// Counters by position in `ClientFault::ALL` and `HostFault::ALL`.
struct Faults {
    client: Vec<Option<u32>>,
    host: Vec<Option<u32>>,
}

impl Metrics {
    /// Defines every counter, so that each is there from the start and reads 0.
    pub(super) fn define(policy: &Policy) -> Self {
        Self {
            rules: policy.all().map(RuleMetrics::define).collect(),
            verification: host::define_histogram(&format!("{PREFIX}.verification_us")),
        }
    }

    /// Counts a request that goes on.
    pub(super) fn count_admitted(&self, rule: &Rule, verdict: Verdict) {
        let metrics = self.of(rule);
        if let Some(tally) = metrics.and_then(|metrics| metrics.admitted.get(verdict as usize)) {
            tally.count();
        }
    }

    /// Counts a request that ends here.
    pub(super) fn count_refused(&self, rule: &Rule, refusal: Refusal) {
        let counter = self
            .of(rule)
            .and_then(|metrics| metrics.refused.get(refusal));
        host::add(counter, 1);
    }

    /// Counts a request that goes on although it would be refused.
    pub(super) fn count_observed(&self, rule: &Rule, refusal: Refusal) {
        let counter = self
            .of(rule)
            .and_then(|metrics| metrics.observed.get(refusal));
        host::add(counter, 1);
    }

    /// Tells the host of all that is not counted there yet.
    pub(super) fn carry_over(&self) {
        let admitted = self.rules.iter().flat_map(|rule| &rule.admitted);
        admitted.for_each(Tally::carry_over);
    }

    /// Records how long a full verification took that began at `since`, in nanoseconds since 1970.
    pub(super) fn record_verification(&self, since: u64) {
        let now = host::now().and_then(|now| u64::try_from(now.as_nanos()).ok());
        let nanos = now.unwrap_or_default().saturating_sub(since);
        host::record(self.verification, nanos / 1000);
    }

    fn of(&self, rule: &Rule) -> Option<&RuleMetrics> {
        self.rules.get(usize::from(rule.number))
    }
}

impl RuleMetrics {
    fn define(rule: &Rule) -> Self {
        let rule = &rule.name;
        let full = |kind: &str, name: &str| format!("{PREFIX}.{kind}.{name}.{rule}");
        let define = |kind: &str, name: &str| host::define_counter(&full(kind, name));
        Self {
            admitted: Verdict::ALL
                .iter()
                .map(|verdict| Tally::define(&full("admitted", verdict.name())))
                .collect(),
            refused: Faults::define(
                |reason| define("refused", reason),
                |reason| define("failed", reason),
            ),
            observed: Faults::define(
                |reason| define("observed", reason),
                |reason| define("observed", reason),
            ),
        }
    }
}

impl Faults {
    fn define(client: impl Fn(&str) -> Option<u32>, host: impl Fn(&str) -> Option<u32>) -> Self {
        Self {
            client: ClientFault::ALL
                .iter()
                .map(|fault| client(fault.reason()))
                .collect(),
            host: HostFault::ALL
                .iter()
                .map(|fault| host(fault.reason()))
                .collect(),
        }
    }

    fn get(&self, refusal: Refusal) -> Option<u32> {
        let counter = match refusal {
            Refusal::Client(fault) => self.client.get(fault as usize),
            Refusal::Host(fault) => self.host.get(fault as usize),
        };
        counter.copied().flatten()
    }
}

/// How often the cache answered, and how much it holds.
pub(super) struct CacheMetrics {
    hit: Tally,
    shared_hit: Option<u32>,
    miss: Option<u32>,
    purged: Option<u32>,
    evicted: Option<u32>,
    /// Bindings held by all VMs together.
    bindings: Option<u32>,
}

impl CacheMetrics {
    /// Defines them.
    pub(super) fn define() -> Self {
        let full = |name| format!("{PREFIX}.cache.{name}");
        let counter = |name| host::define_counter(&full(name));
        Self {
            hit: Tally::define(&full("hit")),
            shared_hit: counter("shared_hit"),
            miss: counter("miss"),
            purged: counter("purged"),
            evicted: counter("evicted"),
            bindings: host::define_gauge(&full("bindings")),
        }
    }

    /// Counts what the cache had to say.
    pub(super) fn count(&self, event: CacheEvent) {
        match event {
            CacheEvent::None => {}
            CacheEvent::Hit => self.hit.count(),
            CacheEvent::SharedHit => host::add(self.shared_hit, 1),
            CacheEvent::Miss => host::add(self.miss, 1),
        }
    }

    /// Tells the host of all that is not counted there yet.
    pub(super) fn carry_over(&self) {
        self.hit.carry_over();
    }

    /// Counts bindings held, and those that had to go, before and after a request.
    pub(super) fn count_kept(&self, before: (usize, usize), after: (usize, usize)) {
        host::add(self.bindings, difference(after.0, before.0));
        host::add(self.evicted, difference(after.1, before.1));
    }

    /// Counts what is held no more.
    pub(super) fn count_gone(&self, bindings: usize) {
        host::add(self.bindings, difference(0, bindings));
    }

    /// Counts the bindings of a connection that closed.
    pub(super) fn count_purged(&self, before: usize, after: usize) {
        host::add(self.purged, difference(before, after));
        host::add(self.bindings, difference(after, before));
    }
}

fn difference(minuend: usize, subtrahend: usize) -> i64 {
    let signed = |count| i64::try_from(count).unwrap_or(i64::MAX);
    signed(minuend) - signed(subtrahend)
}
