use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::*;

/// A waiting request that notes what happens to it.
#[derive(Default)]
struct Request {
    connected: AtomicBool,
    looks: AtomicU64,
    alarms: AtomicU64,
    resumed: AtomicU64,
}

struct Waiter(Arc<Request>);

impl Parked for Waiter {
    fn is_ready(&self) -> bool {
        self.0.looks.fetch_add(1, Relaxed);
        self.0.connected.load(Relaxed)
    }

    fn alarm(&self) {
        self.0.alarms.fetch_add(1, Relaxed);
    }

    fn resume(&self) {
        self.0.resumed.fetch_add(1, Relaxed);
    }
}

const CLUSTER: Cluster = Cluster(u64::MAX);

fn wait(seconds: u64) -> (Arc<Request>, Place) {
    wait_for(CLUSTER, seconds)
}

fn wait_for(cluster: Cluster, seconds: u64) -> (Arc<Request>, Place) {
    let request = Arc::new(Request::default());
    let until = Instant::now() + Duration::from_secs(seconds);
    let parked = Box::new(Waiter(Arc::clone(&request)));
    (request, park(cluster, parked, until))
}

fn count(number: &AtomicU64) -> u64 {
    number.load(Relaxed)
}

#[test]
fn only_the_oldest_is_alarmed_and_only_once_until_the_sweep() {
    let ((first, _one), (second, _two)) = (wait(60), wait(60));
    wake(CLUSTER);
    wake(CLUSTER);
    assert_eq!((count(&first.alarms), count(&second.alarms)), (1, 0));
    sweep(CLUSTER);
    wake(CLUSTER);
    assert_eq!(count(&first.alarms), 2);
}

#[test]
fn a_sweep_resumes_all_that_have_a_connection_and_no_other() {
    let ((first, _one), (second, _two), (third, _three)) = (wait(60), wait(60), wait(60));
    second.connected.store(true, Relaxed);
    third.connected.store(true, Relaxed);
    sweep(CLUSTER);
    sweep(CLUSTER);
    assert_eq!(
        (
            count(&first.resumed),
            count(&second.resumed),
            count(&third.resumed)
        ),
        (0, 1, 1)
    );
}

#[test]
fn who_has_waited_too_long_is_resumed_without_a_connection() {
    let (request, _place) = wait(0);
    sweep(CLUSTER);
    assert_eq!(count(&request.resumed), 1);
}

#[test]
fn an_alarm_that_is_lost_with_its_request_passes_to_the_next() {
    let ((_first, one), (second, _two)) = (wait(60), wait(60));
    wake(CLUSTER);
    drop(one);
    assert_eq!(count(&second.alarms), 1);
}

#[test]
fn who_has_left_is_not_resumed() {
    let (request, place) = wait(0);
    drop(place);
    sweep(CLUSTER);
    assert_eq!(count(&request.resumed), 0);
}

#[test]
fn a_request_that_ends_others_while_it_is_resumed_does_no_harm() {
    struct Ending(Mutex<Option<Place>>);
    impl Parked for Ending {
        fn is_ready(&self) -> bool {
            true
        }
        fn alarm(&self) {}
        fn resume(&self) {
            drop(self.0.lock().unwrap().take());
            wake(CLUSTER);
        }
    }
    let (victim, place) = wait(0);
    let until = Instant::now() + Duration::from_mins(1);
    let _place = park(CLUSTER, Box::new(Ending(Some(place).into())), until);
    // The victim is older: it is resumed first, and its place is then only a number.
    sweep(CLUSTER);
    assert_eq!(count(&victim.resumed), 1);
}

#[test]
fn another_worker_is_woken_by_time_but_not_by_events_here() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let worker = std::thread::spawn(move || {
        let (request, place) = wait(60);
        sender.send(request).unwrap();
        let _ = ended.recv();
        drop(place);
    });
    let request = receiver.recv().unwrap();
    wake(CLUSTER);
    assert_eq!(count(&request.alarms), 0);
    wake_all();
    assert_eq!(count(&request.alarms), 1);
    drop(end);
    worker.join().unwrap();
}

#[test]
fn a_cluster_that_never_connects_costs_the_requests_of_another_nothing() {
    let (dead, alive) = (Cluster::another(), Cluster::another());
    let stuck: Vec<_> = (0..3_000).map(|_| wait_for(dead, 60)).collect();
    let looks = || stuck.iter().map(|(one, _)| count(&one.looks)).sum::<u64>();
    let (served, _place) = wait_for(alive, 60);
    served.connected.store(true, Relaxed);
    wake(alive);
    sweep(alive);
    assert_eq!((count(&served.resumed), looks()), (1, 0));
    // A handshake of any cluster wakes all, and even then few are looked at.
    wake_worker();
    assert_eq!(count(&stuck[0].0.alarms), 1);
    sweep(dead);
    assert_eq!(looks(), (OLDEST + FURTHER) as u64);
}

#[test]
fn those_behind_requests_for_a_dead_endpoint_are_reached_sweep_by_sweep_and_by_time_at_once() {
    let cluster = Cluster::another();
    let _stuck: Vec<_> = (0..100).map(|_| wait_for(cluster, 60)).collect();
    let (last, _place) = wait_for(cluster, 60);
    last.connected.store(true, Relaxed);
    let sweeps = (1..100).find(|_| {
        sweep(cluster);
        count(&last.resumed) == 1
    });
    assert_eq!(sweeps, Some((101 - OLDEST).div_ceil(FURTHER)));
    let (last, _place) = wait_for(cluster, 60);
    last.connected.store(true, Relaxed);
    wake_all();
    sweep(cluster);
    assert_eq!(count(&last.resumed), 1);
}

#[test]
fn all_that_a_connection_serves_go_on_in_one_sweep() {
    let cluster = Cluster::another();
    let served: Vec<_> = (0..100).map(|_| wait_for(cluster, 60)).collect();
    for (one, _) in &served {
        one.connected.store(true, Relaxed);
    }
    sweep(cluster);
    assert!(served.iter().all(|(one, _)| count(&one.resumed) == 1));
}

#[test]
fn a_request_that_has_been_served_leaves_those_alone_that_wait_after_it() {
    let cluster = Cluster::another();
    let ((served, first), (_gone, second)) = (wait_for(cluster, 60), wait_for(cluster, 60));
    served.connected.store(true, Relaxed);
    sweep(cluster);
    assert_eq!(count(&served.resumed), 1);
    // Nobody waits any more: the queue goes. The request that was served keeps its place to its end.
    drop(second);
    let (waiting, _place) = wait_for(cluster, 60);
    drop(first);
    waiting.connected.store(true, Relaxed);
    sweep(cluster);
    assert_eq!(count(&waiting.resumed), 1);
}
