//! A model of the whole: generated configurations and sequences of requests, judged by the core in a host in
//! memory and by a reference that only knows the protocol. Whatever the core lets go on, the reference lets go
//! on; whatever it refuses, the reference refuses, unless something had to be forgotten.
//!
//! `make model STEPS=..` takes more steps than the tests do.

mod configuration;
mod dice;
mod reference;
mod traffic;
mod world;

use std::collections::BTreeMap;
use std::{env, thread};

use world::World;

/// Steps in one world: enough to come back to earlier proofs, few enough to read them all.
const STEPS_IN_A_WORLD: usize = 200;

const STEPS: usize = 1_000_000;

/// Every way a request can end has to happen now and then, or the generator has gone blind.
const ENDS: [&str; 22] = [
    "access_token_expired",
    "access_token_missing",
    "access_token_unreadable",
    "authorization_malformed",
    "certificate_bound",
    "certificate_expired",
    "certificate_not_confirmed",
    "claims_of_another_token",
    "confirmation_source_missing",
    "confirmation_unreadable",
    "confirmation_unsupported",
    "exporter_missing",
    "proof_connection_mismatch",
    "proof_replayed",
    "proof_spent",
    "proof_too_old",
    "session_bound",
    "target_unreadable",
    "token_elsewhere",
    "token_not_bound",
    "unbound",
    "without_token",
];

#[test]
fn nothing_goes_on_that_the_protocol_refuses_and_nothing_is_refused_that_it_lets_go_on() {
    let steps = env::var("STEPS").map_or(STEPS, |steps| steps.parse().unwrap());
    let worlds = steps.div_ceil(STEPS_IN_A_WORLD);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let ends = thread::scope(|scope| {
        let run = |first| move || live(first, threads, worlds);
        let running: Vec<_> = (0..threads).map(|first| scope.spawn(run(first))).collect();
        let mut all = BTreeMap::new();
        for running in running {
            for (end, count) in running.join().unwrap() {
                *all.entry(end).or_insert(0) += count;
            }
        }
        all
    });
    for end in ENDS {
        assert!(
            ends.contains_key(end),
            "no request ended as {end}: {ends:?}"
        );
    }
}

/// How often requests ended in each way, in every so many worlds.
fn live(first: usize, step: usize, worlds: usize) -> BTreeMap<&'static str, usize> {
    let mut ends = BTreeMap::new();
    for seed in (first..worlds).step_by(step) {
        let mut world = World::new(u64::try_from(seed).unwrap());
        for _ in 0..STEPS_IN_A_WORLD {
            if let Some(end) = world.step() {
                *ends.entry(end).or_insert(0) += 1;
            }
        }
    }
    ends
}
