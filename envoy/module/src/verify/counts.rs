//! What the filter counts, under the names that the Proxy-Wasm filter's counters have.
//!
//! Requests add to numbers of the module's own. Its thread hands them to Envoy: a count of a connection that
//! ends must not touch a configuration that Envoy may be about to destroy.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tls_session_binding::decide::{CacheEvent, Host, Verdict};
use tls_session_binding::error::{ClientFault, HostFault, Refusal};
use tls_session_binding::policy::Policy;
use tls_session_binding::rule::Rule;

use crate::log;
use crate::metrics::Exporter;

const PREFIX: &str = "session_binding";
const CACHE: [&str; 5] = ["hit", "shared_hit", "miss", "purged", "evicted"];
/// How long full verifications took, in microseconds.
pub const VERIFICATION: &str = "session_binding.verification_us";
const HIT: usize = 0;
const MISS: usize = 2;
const PURGED: usize = 3;
const EVICTED: usize = 4;

/// What a request with a token shows of its host; signatures are always the module's own business.
const FACTS: [&str; 4] = [
    "exporter",
    "client_certificate",
    "connection_id",
    "verify_signature",
];

/// Counters of one rule.
const PER_RULE: usize = Verdict::ALL.len() + 2 * FAULTS;
const FAULTS: usize = ClientFault::ALL.len() + HostFault::ALL.len();

/// The counts of one configured filter.
pub struct Counts {
    names: Vec<String>,
    pending: Vec<AtomicU64>,
    /// Bindings held by all workers together.
    held: AtomicI64,
    facts: [AtomicBool; FACTS.len()],
    is_looked_at: AtomicBool,
    /// Envoy's number of the histogram [`VERIFICATION`].
    verification: AtomicUsize,
}

impl Counts {
    pub(super) fn new(policy: &Policy) -> Self {
        let cache = CACHE.map(|name| format!("{PREFIX}.cache.{name}"));
        let names: Vec<String> = policy.all().flat_map(names_of).chain(cache).collect();
        Self {
            pending: names.iter().map(|_| AtomicU64::new(0)).collect(),
            names,
            held: AtomicI64::new(0),
            facts: [const { AtomicBool::new(true) }; FACTS.len()],
            is_looked_at: AtomicBool::new(false),
            verification: AtomicUsize::new(0),
        }
    }

    /// Names of the counters, in their order.
    #[must_use]
    pub fn counter_names(&self) -> &[String] {
        &self.names
    }

    /// Names of the gauges, in their order.
    #[must_use]
    pub fn gauge_names() -> Vec<String> {
        let facts = FACTS.iter().map(|name| format!("{PREFIX}.host.{name}"));
        [format!("{PREFIX}.cache.bindings")]
            .into_iter()
            .chain(facts)
            .collect()
    }

    /// Notes Envoy's number of the histogram [`VERIFICATION`].
    pub fn set_verification(&self, histogram: usize) {
        self.verification.store(histogram, Relaxed);
    }

    pub(super) fn verification(&self) -> usize {
        self.verification.load(Relaxed)
    }

    /// Counts a request that goes on.
    pub(super) fn count_admitted(&self, rule: &Rule, verdict: Verdict) {
        self.add(of(rule) + verdict as usize, 1);
    }

    /// Counts a request that ends here.
    pub(super) fn count_refused(&self, rule: &Rule, refusal: Refusal) {
        self.add(of(rule) + Verdict::ALL.len() + fault(refusal), 1);
    }

    /// Counts a request that goes on although it would be refused.
    pub(super) fn count_observed(&self, rule: &Rule, refusal: Refusal) {
        self.add(of(rule) + Verdict::ALL.len() + FAULTS + fault(refusal), 1);
    }

    /// Counts what the cache had to say. Nothing is shared here, so nothing is found there.
    pub(super) fn count_cache(&self, event: CacheEvent) {
        match event {
            CacheEvent::Hit => self.add_cache(HIT, 1),
            CacheEvent::Miss => self.add_cache(MISS, 1),
            CacheEvent::None | CacheEvent::SharedHit => {}
        }
    }

    /// Counts bindings held, and those that had to go, before and after a request.
    pub(super) fn count_kept(&self, before: (usize, usize), after: (usize, usize)) {
        self.hold(before.0, after.0);
        self.add_cache(EVICTED, after.1.saturating_sub(before.1));
    }

    /// Counts the bindings of a connection that has ended.
    pub(super) fn count_purged(&self, before: usize, after: usize) {
        self.hold(before, after);
        self.add_cache(PURGED, before.saturating_sub(after));
    }

    /// Whether a connection has been looked at, and nothing was missing.
    pub(super) fn know_all_is_there(&self) -> bool {
        self.is_looked_at.load(Relaxed) && self.is_all_there()
    }

    fn is_all_there(&self) -> bool {
        self.facts.iter().all(|fact| fact.load(Relaxed))
    }

    /// Notes what is known of the connection of a request with a token.
    pub(super) fn tell_what_is_there(&self, host: &impl Host) {
        let [exporter, certificate, id, _] = &self.facts;
        exporter.store(host.exporter().is_some(), Relaxed);
        certificate.store(host.certificate().is_some(), Relaxed);
        id.store(host.connection_id().is_ok(), Relaxed);
        if !self.is_looked_at.swap(true, Relaxed) && !self.is_all_there() {
            log::error(
                "verify: the connection has no exporter value or no certificate: requests with session-bound \
                 tokens will get 503: check the transport socket and the properties",
            );
        }
    }

    fn hold(&self, before: usize, after: usize) {
        let signed = |count| i64::try_from(count).unwrap_or(i64::MAX);
        if before != after {
            self.held.fetch_add(signed(after) - signed(before), Relaxed);
        }
    }

    fn add_cache(&self, which: usize, count: usize) {
        self.add(self.names.len() - CACHE.len() + which, count as u64);
    }

    fn add(&self, counter: usize, count: u64) {
        if let (Some(pending), 1..) = (self.pending.get(counter), count) {
            pending.fetch_add(count, Relaxed);
        }
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Counts").finish_non_exhaustive()
    }
}

fn of(rule: &Rule) -> usize {
    usize::from(rule.number) * PER_RULE
}

fn fault(refusal: Refusal) -> usize {
    match refusal {
        Refusal::Client(fault) => fault as usize,
        Refusal::Host(fault) => ClientFault::ALL.len() + fault as usize,
    }
}

/// Names of a rule's counters: admitted, refused and failed, observed.
fn names_of(rule: &Rule) -> Vec<String> {
    let name = |kind: &str, what: &str| format!("{PREFIX}.{kind}.{what}.{}", rule.name);
    let faults = |client: &str, host: &str| {
        let client = ClientFault::ALL
            .iter()
            .map(|fault| name(client, fault.reason()));
        let host = HostFault::ALL
            .iter()
            .map(|fault| name(host, fault.reason()));
        client.chain(host).collect::<Vec<_>>()
    };
    let admitted = Verdict::ALL
        .iter()
        .map(|verdict| name("admitted", verdict.name()));
    let mut names: Vec<String> = admitted.collect();
    names.extend(faults("refused", "failed"));
    names.extend(faults("observed", "observed"));
    names
}

type Registered = (Arc<Counts>, Box<dyn Exporter>);

/// The filters that are configured, and where in Envoy's stats each counts.
static REGISTERED: Mutex<Vec<Registered>> = Mutex::new(Vec::new());

/// A filter's place in Envoy's stats; dropping it ends that.
pub struct Registration(Arc<Counts>);

/// Hands what is counted over through `exporter` from now on.
pub fn register(counts: &Arc<Counts>, exporter: Box<dyn Exporter>) -> Registration {
    registered().push((Arc::clone(counts), exporter));
    Registration(Arc::clone(counts))
}

/// What it held is held no more, and what it counted is not lost.
impl Drop for Registration {
    fn drop(&mut self) {
        self.0.held.store(0, Relaxed);
        flush();
        registered().retain(|(counts, _)| !Arc::ptr_eq(counts, &self.0));
    }
}

/// Hands over what was counted. Gauges are the process's: what all filters hold, and what none of them lacks.
pub fn flush() {
    let registered = registered();
    let held: i64 = registered
        .iter()
        .map(|(counts, _)| counts.held.load(Relaxed))
        .sum();
    for (counts, exporter) in registered.iter() {
        for (counter, pending) in counts.pending.iter().enumerate() {
            match pending.swap(0, Relaxed) {
                0 => {}
                count => exporter.add(counter, count),
            }
        }
        exporter.set(0, u64::try_from(held).unwrap_or_default());
        for index in 0..FACTS.len() {
            let is_there = |(counts, _): &(Arc<Counts>, _)| {
                counts
                    .facts
                    .get(index)
                    .is_none_or(|fact| fact.load(Relaxed))
            };
            exporter.set(1 + index, u64::from(registered.iter().all(is_there)));
        }
    }
}

fn registered() -> MutexGuard<'static, Vec<Registered>> {
    REGISTERED.lock().unwrap_or_else(PoisonError::into_inner)
}
