//! Counts of the whole module, handed to Envoy's stats from time to time.
//!
//! Envoy gives transport sockets no stats of their own. So every event is counted here, and the
//! extensions that do have stats, the filters `publish` and `prover`, carry the counts over.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Direction;
use crate::failure::Failure;

/// Something that is counted once per direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// Done, resumed or not.
    Done,
    /// Done, and an earlier session was resumed.
    Resumed,
    /// Not done.
    Failed(Failure),
}

/// Something else that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// A proof was signed.
    ProofsMade,
    /// A proof signed before was sent again.
    ProofsReused,
    /// The other side refused a proof.
    ProofsRefused,
    /// A request had to wait for a connection.
    Waits,
    /// A request waited too long.
    WaitsExpired,
    /// A request went on without a proof, as configured.
    RequestsUnproved,
    /// A request was refused: two tokens, or one that cannot be read.
    RequestsMalformed,
    /// A request was refused, as configured: no token, or a target that is not on the list.
    RequestsNotAllowed,
    /// A request was refused: its connection cannot be proved to.
    RequestsUnprovable,
    /// A response was cut off by a connection that ended without `close_notify`.
    ResponsesTruncated,
    /// Changed files were taken up.
    FilesTaken,
    /// Changed files were not usable.
    FilesRefused,
    /// A connection was closed: another filter has set what it should publish.
    ConnectionsUnpublished,
    /// An open connection was closed: since trust changed, its other end is not accepted.
    ConnectionsWithdrawn,
    /// A hook or the module's own thread panicked; the hook's connection or request was ended.
    Panics,
}

const COUNTERS: [(Counter, &str); 15] = [
    (Counter::ProofsMade, "proofs.made"),
    (Counter::ProofsReused, "proofs.reused"),
    (Counter::ProofsRefused, "proofs.refused_by_peer"),
    (Counter::Waits, "waits.begun"),
    (Counter::WaitsExpired, "waits.expired"),
    (Counter::RequestsUnproved, "requests.unproved"),
    (Counter::RequestsMalformed, "requests.malformed"),
    (Counter::RequestsNotAllowed, "requests.not_allowed"),
    (Counter::RequestsUnprovable, "requests.unprovable"),
    (Counter::ResponsesTruncated, "responses.truncated"),
    (Counter::FilesTaken, "files.taken"),
    (Counter::FilesRefused, "files.refused"),
    (Counter::ConnectionsUnpublished, "connections.unpublished"),
    (Counter::ConnectionsWithdrawn, "connections.withdrawn"),
    (Counter::Panics, "panics"),
];

/// Something that has a value at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gauge {
    /// When the own certificate that ends first expires, in seconds since the epoch; 0 if there is none.
    CertificateExpiresAt(Direction),
    /// When the first revocation list ends, in seconds since the epoch; 0 if there is none.
    CrlExpiresAt(Direction),
    /// Listeners and clusters that wait for their files.
    FilesAwaited,
    /// Seconds for which a look at the files has not come back.
    FilesStalled,
    /// Proofs that are remembered.
    ProofsHeld,
}

const GAUGES: [(Gauge, &str); 7] = [
    (
        Gauge::CertificateExpiresAt(Direction::Downstream),
        "downstream.certificate_expires_at",
    ),
    (
        Gauge::CertificateExpiresAt(Direction::Upstream),
        "upstream.certificate_expires_at",
    ),
    (
        Gauge::CrlExpiresAt(Direction::Downstream),
        "downstream.crl_expires_at",
    ),
    (
        Gauge::CrlExpiresAt(Direction::Upstream),
        "upstream.crl_expires_at",
    ),
    (Gauge::FilesAwaited, "files.awaited"),
    (Gauge::FilesStalled, "files.stalled_seconds"),
    (Gauge::ProofsHeld, "proofs.held"),
];

const DIRECTIONS: [(Direction, &str); 2] = [
    (Direction::Downstream, "downstream"),
    (Direction::Upstream, "upstream"),
];

/// Counters of one direction.
const PER_DIRECTION: usize = 2 + Failure::ALL.len();
/// All counters.
const TOTAL: usize = COUNTERS.len() + 2 * PER_DIRECTION;

static MODULE: Metrics = Metrics::new();

thread_local! {
    static MINE: Arc<Counts> = MODULE.counts();
}

/// Counts, and who takes them.
struct Metrics {
    /// One for each thread that counts.
    counts: Mutex<Vec<Arc<Counts>>>,
    exporters: Mutex<Exporters>,
}

/// What one thread has counted since it was last handed over: no two write to one cache line.
#[repr(align(128))]
struct Counts([AtomicU64; TOTAL]);

impl Counts {
    fn add(&self, index: usize) {
        if let Some(count) = self.0.get(index) {
            count.fetch_add(1, Relaxed);
        }
    }
}

struct Exporters {
    next: u64,
    /// The first one is used.
    registered: Vec<(u64, Box<dyn Exporter>)>,
}

/// One of Envoy's places for stats. Its counters have the order of [`counter_names`], its gauges
/// that of [`gauge_names`].
pub trait Exporter: Send {
    /// Adds to a counter.
    fn add(&self, counter: usize, value: u64);
    /// Sets a gauge.
    fn set(&self, gauge: usize, value: u64);
}

/// An exporter in use; dropping it ends that.
pub struct Registration(u64);

/// Names of all counters.
#[must_use]
pub fn counter_names() -> Vec<String> {
    let other = COUNTERS
        .iter()
        .map(|(_, name)| format!("tls_session_binding.{name}"));
    let handshakes = DIRECTIONS.iter().flat_map(|(_, direction)| {
        let failed = Failure::ALL.map(|failure| format!("handshakes_failed.{}", failure.name()));
        let done = ["handshakes".to_owned(), "handshakes_resumed".to_owned()];
        done.into_iter()
            .chain(failed)
            .map(move |name| format!("tls_session_binding.{direction}.{name}"))
    });
    other.chain(handshakes).collect()
}

/// Names of all gauges.
#[must_use]
pub fn gauge_names() -> Vec<String> {
    let name = |(_, name): &(Gauge, &str)| format!("tls_session_binding.{name}");
    GAUGES.iter().map(name).collect()
}

/// Counts an event.
pub fn count(counter: Counter) {
    add(counter_index(counter));
}

/// Counts a handshake.
pub fn count_handshake(direction: Direction, handshake: Handshake) {
    add(handshake_index(direction, handshake));
}

fn add(index: usize) {
    // A thread that ends may have no storage any more: it counts in a block of its own.
    if MINE.try_with(|mine| mine.add(index)).is_err() {
        MODULE.counts().add(index);
    }
}

/// Where in Envoy's stats an [`Exporter`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The whole process, as the counts are: used if there is one.
    Process,
    /// One cluster.
    Cluster,
}

/// Hands counts over through `exporter` from now on.
pub fn register(exporter: Box<dyn Exporter>, scope: Scope) -> Registration {
    Registration(MODULE.register(exporter, scope))
}

impl Drop for Registration {
    fn drop(&mut self) {
        MODULE.forget(self.0);
    }
}

/// Hands over what was counted, and what each gauge shows.
pub fn flush(value: impl Fn(Gauge) -> u64) {
    MODULE.flush(value);
}

impl Metrics {
    const fn new() -> Self {
        Self {
            counts: Mutex::new(Vec::new()),
            exporters: Mutex::new(Exporters {
                next: 0,
                registered: Vec::new(),
            }),
        }
    }

    /// Counts of one thread.
    fn counts(&self) -> Arc<Counts> {
        let counts = Arc::new(Counts([const { AtomicU64::new(0) }; TOTAL]));
        self.all_counts().push(Arc::clone(&counts));
        counts
    }

    fn all_counts(&self) -> MutexGuard<'_, Vec<Arc<Counts>>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, exporter: Box<dyn Exporter>, scope: Scope) -> u64 {
        let mut exporters = self.exporters();
        exporters.next += 1;
        let id = exporters.next;
        match scope {
            Scope::Process => exporters.registered.insert(0, (id, exporter)),
            Scope::Cluster => exporters.registered.push((id, exporter)),
        }
        id
    }

    fn forget(&self, id: u64) {
        self.exporters().registered.retain(|(one, _)| *one != id);
    }

    fn flush(&self, value: impl Fn(Gauge) -> u64) {
        let exporters = self.exporters();
        let Some((_, exporter)) = exporters.registered.first() else {
            return;
        };
        let mut all = self.all_counts();
        // Whoever has ended counts no more: after this its block is empty.
        let ended: Vec<_> = all.iter().map(|one| Arc::strong_count(one) == 1).collect();
        for index in 0..TOTAL {
            let of = |one: &Arc<Counts>| one.0.get(index).map_or(0, |count| count.swap(0, Relaxed));
            match all.iter().map(of).sum() {
                0 => {}
                value => exporter.add(index, value),
            }
        }
        let mut ended = ended.into_iter();
        all.retain(|_| !ended.next().unwrap_or_default());
        for (index, (gauge, _)) in GAUGES.iter().enumerate() {
            exporter.set(index, value(*gauge));
        }
    }

    fn exporters(&self) -> MutexGuard<'_, Exporters> {
        self.exporters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn counter_index(counter: Counter) -> usize {
    COUNTERS
        .iter()
        .position(|(one, _)| *one == counter)
        .unwrap_or_default()
}

fn handshake_index(direction: Direction, handshake: Handshake) -> usize {
    let first = COUNTERS.len() + usize::from(direction == Direction::Upstream) * PER_DIRECTION;
    first
        + match handshake {
            Handshake::Done => 0,
            Handshake::Resumed => 1,
            Handshake::Failed(failure) => {
                2 + Failure::ALL
                    .iter()
                    .position(|one| *one == failure)
                    .unwrap_or_default()
            }
        }
}

#[cfg(test)]
mod tests;
