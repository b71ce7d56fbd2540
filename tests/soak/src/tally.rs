//! What was counted; what must be zero at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::Outcome;

use crate::cast::Kind;
use crate::secrets::Secrets;

/// Wrongs that are told in full.
const MAX_TOLD: usize = 10;

#[derive(Default)]
pub(crate) struct Tally(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    connections: u64,
    connections_missing: u64,
    sent_away: u64,
    verdicts: BTreeMap<(Kind, String), u64>,
    wrong: u64,
    failed: u64,
    host_faults: u64,
    growth_kib: u64,
    leaked: u64,
    told: Vec<String>,
    secrets: Secrets,
}

impl Tally {
    pub(crate) fn note_connection(&self) {
        self.lock().connections += 1;
    }

    /// A request that was not sent because Envoy had told the connection to go.
    pub(crate) fn note_sent_away(&self) {
        self.lock().sent_away += 1;
    }

    /// A verdict, and those that are right.
    pub(crate) fn note_verdict(&self, kind: Kind, outcome: &Outcome, right: &[Outcome]) {
        let mut counted = self.lock();
        *counted.verdicts.entry((kind, told(outcome))).or_default() += 1;
        if !right.contains(outcome) {
            counted.wrong += 1;
            counted.tell(format!("{kind}: {outcome:?} instead of {right:?}"));
        }
    }

    /// A request without answer, or anything else that must not happen.
    pub(crate) fn note_failure(&self, error: &str) {
        let mut counted = self.lock();
        counted.failed += 1;
        counted.tell(error.to_owned());
    }

    pub(crate) fn note_host_faults(&self, times: u64) {
        self.lock().host_faults += times;
    }

    pub(crate) fn note_growth(&self, beyond_bound_kib: u64) {
        self.lock().growth_kib += beyond_bound_kib;
    }

    /// The load must have been one.
    pub(crate) fn require_connections(&self, least: u64) {
        let mut counted = self.lock();
        counted.connections_missing = least.saturating_sub(counted.connections);
    }

    pub(crate) fn remember_secret(&self, secret: &str) {
        self.lock().secrets.remember(secret);
    }

    /// Looks for every secret in a text.
    pub(crate) fn search(&self, text: impl Read) -> Result<()> {
        let mut counted = self.lock();
        let lines = counted.secrets.lines_with_secrets(text)?;
        counted.leaked += lines;
        Ok(())
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
            counted.connections_missing,
        ];
        wrongs.iter().all(|&times| times == 0)
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

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => "passed".to_owned(),
        Outcome::Refused(code) => format!("401 {}", code.as_deref().unwrap_or_default()),
        Outcome::Status(status) => status.to_string(),
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.lock();
        for ((kind, outcome), times) in &counted.verdicts {
            writeln!(formatter, "{times:9} {kind}: {outcome}")?;
        }
        let ways = [
            ("connections", counted.connections),
            ("requests not sent, for Envoy drained", counted.sent_away),
            ("secrets used", counted.secrets.count()),
        ];
        for (what, times) in ways {
            writeln!(formatter, "{times:9} {what}")?;
        }
        writeln!(formatter, "must be zero:")?;
        let zeros = [
            ("wrong verdicts", counted.wrong),
            (
                "requests without answer, and other failures",
                counted.failed,
            ),
            ("5xx of the filter, and traps", counted.host_faults),
            ("KiB of memory beyond the bounds", counted.growth_kib),
            ("lines of logs with a secret", counted.leaked),
            ("connections too few", counted.connections_missing),
        ];
        for (what, times) in zeros {
            writeln!(formatter, "{times:9} {what}")?;
        }
        counted
            .told
            .iter()
            .try_for_each(|wrong| writeln!(formatter, "wrong: {wrong}"))
    }
}
