//! The module's one thread: it looks at the files, hands counts over, and bounds waiting.
//!
//! Envoy offers timers to none of the extension kinds that the module is made of. The thread lives
//! while anything is configured, and is joined before the module can be unloaded.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use crate::endpoint::{Change, Endpoint};
use crate::metrics::{self, Counter, Gauge};
use crate::{log, waiting};

/// Time between two rounds: how late a bound on waiting may be noticed.
const ROUND: Duration = Duration::from_millis(250);
/// Rounds between two looks at the files.
const ROUNDS_PER_LOOK: u32 = 4;

static CURRENT: Mutex<Weak<Ticker>> = Mutex::new(Weak::new());
static ENDPOINTS: Mutex<Vec<Weak<Endpoint>>> = Mutex::new(Vec::new());

/// The running thread. It ends when the last handle is dropped.
pub struct Ticker {
    stop: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl Ticker {
    /// A handle of the thread, which is started if it does not run.
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
        let stopped = Arc::clone(&stop);
        let handle = thread::Builder::new()
            .name("tls_session".to_owned())
            .spawn(move || run(&stopped))
            .inspect_err(|error| log::error(&format!("no thread, files are not watched: {error}")))
            .ok();
        Self { stop, handle }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.handle
            .as_ref()
            .map(JoinHandle::thread)
            .map(Thread::unpark);
        // A thread that panicked has ended as well.
        let _ = self.handle.take().map(JoinHandle::join);
    }
}

/// Has the thread look at the files of `endpoint` as long as it exists.
pub fn watch(endpoint: &Arc<Endpoint>) {
    lock(&ENDPOINTS).push(Arc::downgrade(endpoint));
}

fn run(stop: &AtomicBool) {
    for round in 0_u32.. {
        if stop.load(Relaxed) {
            return;
        }
        let endpoints = endpoints();
        for endpoint in &endpoints {
            // What is awaited keeps everything from working.
            if round % ROUNDS_PER_LOOK == 0 || endpoint.current().is_none() {
                look(endpoint);
            }
        }
        metrics::flush(|gauge| value(gauge, &endpoints));
        waiting::wake_all();
        drop(endpoints);
        thread::park_timeout(ROUND);
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
            .map(|generation| generation.expires_at())
            .min()
            .unwrap_or_default(),
        Gauge::FilesAwaited => (endpoints.len() - current().count()) as u64,
    }
}

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
