//! Runs the cases of a folder, and keeps what was asked and answered.

use std::sync::LazyLock;

use tls_session_binding::error::{ClientFault, HostFault};
use tls_session_binding::exporter::ExporterValue;
use tls_session_binding::replay::{MAX_ENTRIES, Slot};

use crate::common::judge::{BINDINGS, Judge, Outcome, Situation};
use crate::common::recipe::{self, Before, Case, Expect, ReplayMemory, Step};
use crate::common::scene::Scene;
use crate::common::template::Names;

/// One request of a case, judged.
pub(crate) struct Judged {
    pub(crate) id: String,
    pub(crate) rule: String,
    pub(crate) rows: Vec<String>,
    /// Whether it was judged by itself, with nothing remembered of others.
    pub(crate) alone: bool,
    pub(crate) situation: Situation,
    pub(crate) expect: Expect,
    pub(crate) outcome: Outcome,
    pub(crate) signatures: usize,
}

/// The vectors of the protocol's rules, and those of attacks, judged once for all tests.
pub(crate) static RULES: LazyLock<Vec<Judged>> = LazyLock::new(|| run("rules"));
pub(crate) static ATTACKS: LazyLock<Vec<Judged>> = LazyLock::new(|| run("attacks"));

fn run(folder: &str) -> Vec<Judged> {
    recipe::cases(folder).iter().flat_map(run_case).collect()
}

fn run_case(case: &Case) -> Vec<Judged> {
    let mut judge = Judge::default();
    judge.unwritten = bucket(case.replay_memory);
    let steps = case.steps();
    let alone = steps.len() == 1 && judge.unwritten.is_empty();
    let judge_step = |step: Step| {
        step.before
            .iter()
            .for_each(|before| prepare(&mut judge, before));
        let situation = Scene::default().situation(&step.request);
        judge.signatures.set(0);
        let outcome = judge.judge(&situation);
        Judged {
            id: case.id.clone(),
            rule: case.rule.clone(),
            rows: case.rows.clone(),
            alone,
            situation,
            expect: step.expect,
            outcome,
            signatures: judge.signatures.get(),
        }
    };
    steps.into_iter().map(judge_step).collect()
}

fn prepare(judge: &mut Judge, before: &Before) {
    judge.restart();
    let mut memory = judge.memory.borrow_mut();
    for (_, (value, _)) in memory
        .iter_mut()
        .filter(|(key, _)| key.starts_with(BINDINGS))
    {
        match before {
            Before::Restart => {}
            Before::SharedMemory(template) => *value = Names::default().expand(template),
            Before::SharedMemoryCut => drop(value.pop()),
        }
    }
}

fn bucket(memory: ReplayMemory) -> Vec<u8> {
    match memory {
        ReplayMemory::Empty => Vec::new(),
        ReplayMemory::Corrupt => b"not a bucket".to_vec(),
        ReplayMemory::Full => full_bucket(u64::MAX),
        ReplayMemory::FullOfExpired => full_bucket(1),
    }
}

fn full_bucket(until: u64) -> Vec<u8> {
    let exporter = ExporterValue::from_bytes([0; 32]);
    (0..MAX_ENTRIES).fold(Vec::new(), |bucket, number| {
        Slot::new(0, &exporter, &number.to_string())
            .remember(&bucket, until, 0)
            .unwrap()
    })
}

/// Fails with every case that did not end as it says.
pub(crate) fn assert_met(judged: &[Judged]) {
    let failures: Vec<String> = judged
        .iter()
        .filter(|case| !case.expect.is_met_by(&case.outcome))
        .map(|case| format!("{}: {:?}, but {:?}", case.id, case.expect, case.outcome))
        .collect();
    assert!(
        failures.is_empty(),
        "{} cases:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

pub(crate) fn all_reasons() -> Vec<&'static str> {
    let client = ClientFault::ALL.iter().map(|fault| fault.reason());
    client
        .chain(HostFault::ALL.iter().map(|fault| fault.reason()))
        .collect()
}
