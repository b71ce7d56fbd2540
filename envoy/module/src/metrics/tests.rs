use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::*;

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<String, u64>>>);

impl Exporter for Seen {
    fn add(&self, counter: usize, value: u64) {
        *self
            .0
            .lock()
            .unwrap()
            .entry(counter_names()[counter].clone())
            .or_default() += value;
    }

    fn set(&self, gauge: usize, value: u64) {
        self.0
            .lock()
            .unwrap()
            .insert(gauge_names()[gauge].clone(), value);
    }
}

#[test]
fn every_counter_has_a_name_of_its_own() {
    let names = counter_names();
    assert_eq!(names.len(), TOTAL);
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), TOTAL);
}

#[test]
fn counts_are_handed_over_once_under_their_names() {
    let (cluster, process) = (Seen::default(), Seen::default());
    let metrics = Metrics::new();
    let (here, there) = (metrics.counts(), metrics.counts());
    metrics.register(Box::new(cluster.clone()), Scope::Cluster);
    let preferred = metrics.register(Box::new(process.clone()), Scope::Process);
    for counter in [
        Counter::WaitsExpired,
        Counter::WaitsExpired,
        Counter::Panics,
    ] {
        here.add(counter_index(counter));
    }
    here.add(handshake_index(Direction::Downstream, Handshake::Done));
    there.add(handshake_index(
        Direction::Upstream,
        Handshake::Failed(Failure::Closed),
    ));
    let five = |gauge| u64::from(gauge == Gauge::FilesAwaited) * 5;
    metrics.flush(five);
    metrics.flush(five);
    let seen = process.0.lock().unwrap();
    let expected = [
        ("downstream.certificate_expires_at", 0),
        ("downstream.crl_expires_at", 0),
        ("downstream.handshakes", 1),
        ("files.awaited", 5),
        ("files.stalled_seconds", 0),
        ("panics", 1),
        ("proofs.held", 0),
        ("upstream.certificate_expires_at", 0),
        ("upstream.crl_expires_at", 0),
        ("upstream.handshakes_failed.closed", 1),
        ("waits.expired", 2),
    ];
    let expected = expected.map(|(name, value)| (format!("tls_session_binding.{name}"), value));
    assert!(
        seen.iter()
            .map(|(name, value)| (name.clone(), *value))
            .eq(expected),
        "{seen:?}"
    );
    metrics.forget(preferred);
    there.add(counter_index(Counter::Panics));
    // What a thread has counted outlives it, and its block does not.
    drop(there);
    metrics.flush(five);
    let panics = "tls_session_binding.panics".to_owned();
    assert_eq!(cluster.0.lock().unwrap().get(&panics), Some(&1));
    assert_eq!(metrics.all_counts().len(), 1);
}
