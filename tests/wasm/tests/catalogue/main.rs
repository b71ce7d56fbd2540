//! The attack catalogue's cases, and those of the protocol's rules, put to the linked filter in a real Envoy.
//!
//! Headers of the request stand for what the module says of the connection; everything else is the shipped filter.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails may panic"
)]

mod stage;

#[path = "../../../common/mod.rs"]
#[allow(clippy::pedantic, reason = "shared with the tests of the core")]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tls_session_binding_wasm_tests::Result;

use common::files;
use common::recipe::{self, Case, Expect};
use common::scene::Scene;
use common::sendable::obstacle;
use stage::{Answer, Connections, Stage};

/// How a reason is answered.
#[derive(Deserialize)]
struct Told {
    status: u16,
    error: Option<String>,
}

/// Cases that Envoy decides before the filter, or otherwise than the core would.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    #[serde(rename = "reason")]
    _reason: String,
    status: u16,
    cases: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_that_can_be_sent_ends_in_envoy_as_on_the_core() -> Result<()> {
    let cases: Vec<Case> = ["attacks", "rules"]
        .into_iter()
        .flat_map(recipe::cases)
        .collect();
    let (mut kept, mut sent) = (BTreeMap::<_, usize>::new(), Vec::new());
    for case in &cases {
        match obstacle(case) {
            Some(why) => *kept.entry(why).or_default() += 1,
            None => sent.push(case),
        }
    }
    let stage = Stage::start(configurations(&sent)).await?;
    let told: BTreeMap<String, Told> = files::read_json("reasons.json");
    let exceptions: Vec<Exception> = serde_json::from_str(include_str!("exceptions.json"))?;
    let mut needed = BTreeSet::new();
    let mut failures = Vec::new();
    for case in &sent {
        let exception = exceptions
            .iter()
            .find(|exception| exception.cases.contains(&case.id));
        let (mut differs, mut by_envoy) = (None, false);
        for (answer, expect) in play(&stage, case).await? {
            if !fits(&answer, &expect, &told) {
                by_envoy |= exception.is_some_and(|exception| exception.status == answer.status);
                differs = Some(format!("{}: {expect:?}, but {answer:?}", case.id));
            }
        }
        match differs {
            Some(_) if by_envoy => drop(needed.insert(case.id.as_str())),
            Some(differs) => failures.push(differs),
            None => {}
        }
    }
    println!("{} cases sent; not sent: {kept:?}", sent.len());
    assert!(
        failures.is_empty(),
        "{} cases:\n{}",
        failures.len(),
        failures.join("\n")
    );
    let listed: BTreeSet<&str> = exceptions
        .iter()
        .flat_map(|exception| &exception.cases)
        .map(String::as_str)
        .collect();
    assert_eq!(needed, listed, "an exception is not needed");
    stage.is_unharmed().await
}

fn configurations(cases: &[&Case]) -> BTreeSet<Vec<u8>> {
    let steps = cases.iter().flat_map(|case| case.steps());
    steps
        .map(|step| Scene::default().situation(&step.request).config)
        .collect()
}

/// The answers to a case's requests, on the connections that it names.
async fn play(stage: &Stage, case: &Case) -> Result<Vec<(Answer, Expect)>> {
    loop {
        let now = seconds();
        let digest = |words: &str| Sha256::digest(format!("{words} {} {now}", case.id)).into();
        let scene = Scene {
            now,
            exporter: digest("own"),
            other_exporter: digest("other"),
        };
        let mut connections = Connections::default();
        let mut answers = Vec::new();
        for step in case.steps() {
            let situation = scene.situation(&step.request);
            answers.push((stage.ask(&mut connections, &situation).await?, step.expect));
        }
        // Some cases are about the very second.
        if seconds() == now {
            return Ok(answers);
        }
    }
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn fits(answer: &Answer, expect: &Expect, told: &BTreeMap<String, Told>) -> bool {
    let (status, error, arrives) = match expect {
        Expect::Accept(_) => (200, None, true),
        Expect::Refuse(reason) => (told[reason].status, told[reason].error.as_deref(), false),
        Expect::Misconfigured(_) => return false,
    };
    (answer.status, answer.error.as_deref(), answer.arrived) == (status, error, arrives)
}
