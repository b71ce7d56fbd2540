//! Values of the host's shared memory, which anyone on the host may have written: remembered bindings and
//! seen `jti`.

use std::cell::RefCell;

use tls_session_binding::exporter::ExporterValue;
use tls_session_binding::replay::{MAX_ENTRIES, Slot};

use crate::judge::{BINDINGS, Judge, Situation};

const EXPORTER: [u8; 32] = [7; 32];

/// No value makes a request pass that would not pass without it, and none makes a genuine one fail.
pub fn run(input: &[u8]) {
    bindings(input);
    seen(input);
}

fn bindings(value: &[u8]) {
    GENUINE.with_borrow_mut(|genuine| {
        let mut judge = Judge::default();
        judge
            .memory
            .get_mut()
            .insert(format!("{BINDINGS}7"), (value.to_vec(), 1));
        let mut forged = genuine.clone();
        if let Some(last) = forged.proof.first_mut().and_then(|proof| proof.last_mut()) {
            *last = if *last == b'A' { b'Q' } else { b'A' };
        }
        assert!(
            !judge.judge(&forged).is_accepted(),
            "shared memory let a forged proof pass"
        );
        assert!(
            judge.judge(genuine).is_accepted(),
            "shared memory stopped a genuine proof"
        );
        judge.restart();
        assert!(
            !judge.judge(&forged).is_accepted(),
            "a neighbour's entry let a forged proof pass"
        );
    });
}

thread_local! {
    static GENUINE: RefCell<Situation> = RefCell::new(genuine());
}

/// The first published case that passes with a connection-level proof.
fn genuine() -> Situation {
    let accepted = |seed: &Vec<u8>| {
        let situation = super::request::situation(seed);
        let mut judge = Judge::default();
        (0..2).all(|_| judge.judge(&situation).reason() == "session_bound")
    };
    let seed = crate::seeds::of("request")
        .into_iter()
        .find(accepted)
        .expect("a genuine case");
    super::request::situation(&seed)
}

fn seen(bucket: &[u8]) {
    let slot = Slot::new(7, &ExporterValue::from_bytes(EXPORTER), "once");
    let Ok(next) = slot.remember(bucket, 200, 100) else {
        return;
    };
    assert!(
        next.len() <= 1 + 16 * MAX_ENTRIES,
        "a bucket grew beyond its bound"
    );
    assert!(
        slot.remember(&next, 200, 100).is_err(),
        "a jti was not remembered"
    );
    assert!(
        slot.remember(&next, 200, 200).is_err(),
        "a jti was forgotten before its time"
    );
}
