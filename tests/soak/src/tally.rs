//! What was counted, and the secrets that no log may hold.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tls_session_binding_e2e::ask::Outcome;

/// Secrets that are remembered; a long run forgets none of its kinds.
const MAX_SECRETS: usize = 200_000;
/// Wrongs that are told in full.
const MAX_TOLD: usize = 10;

#[derive(Default)]
pub(crate) struct Tally(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    connections: u64,
    verdicts: BTreeMap<String, u64>,
    wrong: u64,
    failed: u64,
    host_faults: u64,
    growth_kib: u64,
    leaked: u64,
    told: Vec<String>,
    secrets: HashSet<String>,
}

impl Tally {
    pub(crate) fn note_connection(&self) {
        self.lock().connections += 1;
    }

    pub(crate) fn note_verdict(&self, outcome: &Outcome, expected: &Outcome) {
        let mut counted = self.lock();
        *counted.verdicts.entry(format!("{outcome:?}")).or_default() += 1;
        if outcome != expected {
            counted.wrong += 1;
            counted.tell(format!("{outcome:?} instead of {expected:?}"));
        }
    }

    /// A request without answer.
    pub(crate) fn note_failure(&self, error: &str) {
        let mut counted = self.lock();
        counted.failed += 1;
        counted.tell(error.to_owned());
    }

    pub(crate) fn note_host_faults(&self, times: u64) {
        self.lock().host_faults += times;
    }

    pub(crate) fn note_growth(&self, beyond_bound_kib: u64) {
        self.lock().growth_kib = beyond_bound_kib;
    }

    pub(crate) fn remember_secret(&self, secret: &str) {
        let mut counted = self.lock();
        if counted.secrets.len() < MAX_SECRETS {
            counted.secrets.insert(secret.to_owned());
        }
    }

    /// Looks for every secret in the texts. All secrets are words of base64url and dots, so comparing
    /// whole words and their parts is enough.
    pub(crate) fn note_secrets(&self, texts: &[String]) {
        let mut counted = self.lock();
        let is_inside = |byte: char| byte.is_ascii_alphanumeric() || "-_.".contains(byte);
        let words = texts
            .iter()
            .flat_map(|text| text.split(|byte| !is_inside(byte)));
        let leaked = words.filter(|word| counted.secrets.contains(*word)).count();
        counted.leaked = u64::try_from(leaked).unwrap_or(u64::MAX);
    }

    /// Whether nothing went wrong.
    pub(crate) fn is_clean(&self) -> bool {
        let counted = self.lock();
        let wrongs = [
            counted.wrong,
            counted.failed,
            counted.host_faults,
            counted.growth_kib,
            counted.leaked,
        ];
        wrongs.iter().all(|&times| times == 0) && !counted.verdicts.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn tell(&mut self, wrong: String) {
        if self.told.len() < MAX_TOLD {
            self.told.push(wrong);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.lock();
        for (verdict, times) in &counted.verdicts {
            writeln!(formatter, "{times:9} {verdict}")?;
        }
        for wrong in &counted.told {
            writeln!(formatter, "wrong: {wrong}")?;
        }
        writeln!(
            formatter,
            "connections {}, secrets {}",
            counted.connections,
            counted.secrets.len()
        )?;
        write!(
            formatter,
            "wrong verdicts {}, requests without answer {}, 5xx of the filter and reloads {}, KiB beyond the bound {}, secrets in logs {}",
            counted.wrong, counted.failed, counted.host_faults, counted.growth_kib, counted.leaked
        )
    }
}
