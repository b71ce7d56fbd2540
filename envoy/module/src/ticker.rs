//! The module's two threads: one hands counts over and bounds waiting, the other looks at the files.
//!
//! Envoy offers timers to none of the extension kinds that the module is made of. The threads live
//! while anything is configured. There are two because a file system may hang, and waiting must not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls_pki_types::UnixTime;

use crate::endpoint::{Change, Endpoint};
use crate::metrics::{self, Counter, Gauge};
use crate::{clock, log, upstream, verify, waiting, watched};

/// Time between two rounds: how late a bound on waiting may be noticed.
const ROUND: Duration = Duration::from_millis(250);
/// Rounds between two looks at the files.
const ROUNDS_PER_LOOK: u32 = 4;
/// How long the end of the threads is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

static CURRENT: Mutex<Weak<Ticker>> = Mutex::new(Weak::new());
static ENDPOINTS: Mutex<Vec<Weak<Endpoint>>> = Mutex::new(Vec::new());

/// Since when the look that has not come back goes on; 0 if none does.
static LOOKING: AtomicU64 = AtomicU64::new(0);

/// The running threads. They end when the last handle is dropped.
pub struct Ticker {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Ticker {
    /// A handle of the threads, which are started if they do not run.
    #[must_use]
    pub fn keep() -> Arc<Self> {
        let mut current = lock(&CURRENT);
        current.upgrade().unwrap_or_else(|| {
            let ticker = Arc::new(Self::start());
            *current = Arc::downgrade(&ticker);
            ticker
        })
    }

    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |name: &str, work: fn(u32)| {
            let stop = Arc::clone(&stop);
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || every_round(&stop, work))
                .inspect_err(|error| log::error(&format!("no thread {name}: {error}")))
                .ok()
        };
        let threads = [
            spawn("tls_session", tick),
            spawn("tls_files", look_at_files),
        ];
        Self {
            threads: threads.into_iter().flatten().collect(),
            stop,
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.threads
            .iter()
            .for_each(|handle| handle.thread().unpark());
        let deadline = Instant::now() + PATIENCE;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(1));
            }
            // One that hangs in a file system is left alone: the module stays loaded, see `build.rs`.
            if thread.is_finished() {
                // A thread that panicked has ended as well.
                let _ = thread.join();
            }
        }
    }
}

/// Has the threads look at the files of `endpoint` as long as it exists.
pub fn watch(endpoint: &Arc<Endpoint>) {
    lock(&ENDPOINTS).push(Arc::downgrade(endpoint));
}

/// Does `work` once a round. A panic in it is counted, and the next round comes.
fn every_round(stop: &AtomicBool, work: impl Fn(u32)) {
    for round in 0_u32.. {
        if stop.load(Relaxed) {
            return;
        }
        survive(|| work(round));
        thread::park_timeout(ROUND);
    }
}

/// Unwind safety: what a panic leaves is read by the next round as any other state, and locks are taken
/// whether poisoned or not.
fn survive(work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        metrics::count(Counter::Panics);
        log::error("a panic in the module's own thread, which goes on");
    }
}

/// Hands counts over and bounds waiting; reads no file, so that no file system can keep it.
fn tick(_round: u32) {
    let endpoints = endpoints();
    survive(|| metrics::flush(|gauge| value(gauge, &endpoints)));
    survive(verify::flush);
    waiting::wake_all();
    watched::ring_ended(clock::now());
}

fn look_at_files(round: u32) {
    for endpoint in endpoints() {
        // What is awaited keeps everything from working.
        if round.is_multiple_of(ROUNDS_PER_LOOK) || endpoint.current().is_none() {
            LOOKING.store(now(), Relaxed);
            survive(|| look(&endpoint));
            LOOKING.store(0, Relaxed);
        }
    }
}

fn endpoints() -> Vec<Arc<Endpoint>> {
    let mut endpoints = lock(&ENDPOINTS);
    endpoints.retain(|endpoint| endpoint.strong_count() > 0);
    endpoints.iter().filter_map(Weak::upgrade).collect()
}

fn look(endpoint: &Endpoint) {
    match endpoint.refresh() {
        Change::None => {}
        Change::Taken => {
            metrics::count(Counter::FilesTaken);
            log::info("changed files are in use for new connections");
        }
        Change::Arrived => {
            metrics::count(Counter::FilesTaken);
            log::info("awaited files have come, and are in use");
        }
        Change::Refused(mistakes) => {
            metrics::count(Counter::FilesRefused);
            log::error(&match endpoint.current() {
                Some(_) => {
                    format!("changed files are not usable, the old stay in use: {mistakes}")
                }
                None => format!("awaited files are not usable: {mistakes}"),
            });
        }
    }
}

fn value(gauge: Gauge, endpoints: &[Arc<Endpoint>]) -> u64 {
    let current = || endpoints.iter().filter_map(|endpoint| endpoint.current());
    match gauge {
        Gauge::CertificateExpiresAt(direction) => current()
            .filter(|generation| generation.direction() == direction)
            .map(|generation| generation.validity().end.saturating_sub(1))
            .min()
            .unwrap_or_default(),
        Gauge::CrlExpiresAt(direction) => current()
            .filter(|generation| generation.direction() == direction)
            .filter_map(|generation| generation.crls_end().iter().min().copied())
            .min()
            .unwrap_or_default(),
        Gauge::FilesAwaited => (endpoints.len() - current().count()) as u64,
        Gauge::FilesStalled => match LOOKING.load(Relaxed) {
            0 => 0,
            since => now().saturating_sub(since),
        },
        Gauge::ProofsHeld => upstream::proofs_held() as u64,
    }
}

fn now() -> u64 {
    UnixTime::now().as_secs()
}

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn a_panic_in_one_round_does_not_keep_the_next_from_coming() {
        let (stop, rounds) = (AtomicBool::new(false), AtomicU32::new(0));
        every_round(&stop, |round| {
            rounds.fetch_add(1, Relaxed);
            stop.store(round == 2, Relaxed);
            assert_eq!(round, 2, "as a test");
        });
        assert_eq!(rounds.load(Relaxed), 3);
    }
}
