//! The verifier beside two independent ones, on mutants of genuine proofs: what is accepted here and refused
//! there has a reason in `reasons.json`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails may panic"
)]

#[path = "../common/mod.rs"]
mod common;
mod mutants;
mod oracle;
mod random;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use common::judge::{Judge, Situation};
use mutants::Client;
use oracle::Oracle;
use random::Random;

/// How many proofs are tried where nothing else is said; `make differential COUNT=1000000`.
const COUNT: u64 = 20_000;
const AT_ONCE: u64 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    refusal: String,
    #[serde(rename = "reason")]
    _reason: String,
}

fn exceptions() -> BTreeSet<String> {
    let list: Vec<Exception> = serde_json::from_str(include_str!("reasons.json")).unwrap();
    list.into_iter()
        .map(|exception| exception.refusal)
        .collect()
}

#[test]
#[ignore = "needs the oracles: make differential"]
fn no_mutant_is_accepted_here_and_refused_by_an_independent_verifier() {
    let variable = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let count = variable("COUNT").unwrap_or(COUNT);
    let mut random = Random::new(variable("SEED"));
    println!("random numbers begin with {random:?}");
    let clients = Client::all();
    let mut oracles = ["joserfc", "jwcrypto"].map(|library| Oracle::start(library, &clients));
    let mut seen = Verdicts::default();
    for begin in (0..count.div_ceil(AT_ONCE)).map(|batch| batch * AT_ONCE) {
        let mutants: Vec<(usize, Vec<u8>)> = (begin..count.min(begin + AT_ONCE))
            .map(|_| mutants::mutant(&clients, &mut random))
            .collect();
        for oracle in &mut oracles {
            oracle.ask(&mutants);
        }
        let ours: Vec<&str> = mutants
            .iter()
            .map(|(client, proof)| judge(&clients[*client].situation, proof))
            .collect();
        for oracle in &mut oracles {
            for ((ours, theirs), (client, proof)) in
                ours.iter().zip(oracle.answers(mutants.len())).zip(&mutants)
            {
                seen.note(oracle.name, ours, theirs, *client, proof);
            }
        }
    }
    seen.finish(count);
}

fn judge(situation: &Situation, proof: &[u8]) -> &'static str {
    let situation = Situation {
        proof: vec![proof.to_vec()],
        ..situation.clone()
    };
    Judge::default().judge(&situation).reason()
}

/// How often each pair of verdicts was seen, with an example.
#[derive(Default)]
struct Verdicts(BTreeMap<(&'static str, String, String), (u64, String)>);

impl Verdicts {
    fn note(
        &mut self,
        library: &'static str,
        ours: &str,
        theirs: String,
        client: usize,
        proof: &[u8],
    ) {
        let example = || format!("client {client}: {}", String::from_utf8_lossy(proof));
        let entry = self.0.entry((library, ours.to_owned(), theirs));
        entry.or_insert_with(|| (0, example())).0 += 1;
    }

    fn finish(self, count: u64) {
        let exceptions = exceptions();
        let mut needed = BTreeSet::new();
        let mut failures = Vec::new();
        let mut accepted = 0;
        for ((library, ours, theirs), (times, example)) in &self.0 {
            println!("{times:8} {library:8} here {ours}, there {theirs}");
            let is_accepted = ours == "session_bound";
            if !is_accepted && theirs == "good" {
                println!("         {example}");
            }
            if is_accepted && theirs == "good" {
                accepted += times;
            } else if is_accepted && exceptions.contains(theirs) {
                needed.insert(theirs.clone());
            } else if is_accepted {
                failures.push(format!("{times} times {theirs} by {library}: {example}"));
            }
        }
        println!("{count} mutants, twice judged");
        assert!(
            failures.is_empty(),
            "accepted here alone:\n{}",
            failures.join("\n")
        );
        assert_eq!(needed, exceptions, "a reason is not needed");
        assert!(accepted * 10 > count, "only {accepted} accepted by both");
    }
}
