use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::*;

/// A waiting request that notes what happens to it.
#[derive(Default)]
struct Request {
    connected: AtomicBool,
    alarms: AtomicU64,
    resumed: AtomicU64,
}

struct Waiter(Arc<Request>);

impl Parked for Waiter {
    fn has_connection(&self) -> bool {
        self.0.connected.load(Relaxed)
    }

    fn alarm(&self) {
        self.0.alarms.fetch_add(1, Relaxed);
    }

    fn resume(&self) {
        self.0.resumed.fetch_add(1, Relaxed);
    }
}

fn wait(seconds: u64) -> (Arc<Request>, Place) {
    let request = Arc::new(Request::default());
    let until = Instant::now() + Duration::from_secs(seconds);
    (Arc::clone(&request), park(Box::new(Waiter(request)), until))
}

fn count(number: &AtomicU64) -> u64 {
    number.load(Relaxed)
}

#[test]
fn only_the_oldest_is_alarmed_and_only_once_until_the_sweep() {
    let ((first, _one), (second, _two)) = (wait(60), wait(60));
    wake();
    wake();
    assert_eq!((count(&first.alarms), count(&second.alarms)), (1, 0));
    sweep();
    wake();
    assert_eq!(count(&first.alarms), 2);
}

#[test]
fn a_sweep_resumes_all_that_have_a_connection_and_no_other() {
    let ((first, _one), (second, _two), (third, _three)) = (wait(60), wait(60), wait(60));
    second.connected.store(true, Relaxed);
    third.connected.store(true, Relaxed);
    sweep();
    sweep();
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
    sweep();
    assert_eq!(count(&request.resumed), 1);
}

#[test]
fn an_alarm_that_is_lost_with_its_request_passes_to_the_next() {
    let ((_first, one), (second, _two)) = (wait(60), wait(60));
    wake();
    drop(one);
    assert_eq!(count(&second.alarms), 1);
}

#[test]
fn who_has_left_is_not_resumed() {
    let (request, place) = wait(0);
    drop(place);
    sweep();
    assert_eq!(count(&request.resumed), 0);
}

#[test]
fn a_request_that_ends_others_while_it_is_resumed_does_no_harm() {
    struct Ending(Mutex<Option<Place>>);
    impl Parked for Ending {
        fn has_connection(&self) -> bool {
            true
        }
        fn alarm(&self) {}
        fn resume(&self) {
            drop(self.0.lock().unwrap().take());
            wake();
        }
    }
    let (victim, place) = wait(0);
    let until = Instant::now() + Duration::from_mins(1);
    let _place = park(Box::new(Ending(Some(place).into())), until);
    // The victim is older: it is resumed first, and its place is then only a number.
    sweep();
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
    wake();
    assert_eq!(count(&request.alarms), 0);
    wake_all();
    assert_eq!(count(&request.alarms), 1);
    drop(end);
    worker.join().unwrap();
}
