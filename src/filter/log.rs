//! One line per refusal, at most so many in a second: a flood of bad requests must not become a flood
//! of log lines. A line names rules and reasons, never bytes of a request.

use std::cell::Cell;

use proxy_wasm::types::LogLevel;

use crate::error::Refusal;
use crate::rule::Rule;

use super::host;

/// Most lines of one VM in one second.
const LINES_PER_SECOND: u64 = 10;

/// The log of one plugin.
#[derive(Default)]
pub(super) struct RefusalLog {
    second: Cell<u64>,
    lines: Cell<u64>,
}

impl RefusalLog {
    /// Writes that a request is refused, or would be, and how many lines were left out before.
    pub(super) fn refusal(&self, what: &str, rule: &Rule, refusal: Refusal) {
        let suppressed = match self.take() {
            None => return,
            Some(0) => String::new(),
            Some(count) => format!(" ({count} more in an earlier second)"),
        };
        let level = match refusal {
            Refusal::Client(_) => LogLevel::Info,
            Refusal::Host(_) => LogLevel::Error,
        };
        let connection = host::connection_id().map_or_else(|_| "?".to_owned(), |id| id.to_string());
        let (reason, rule) = (refusal.reason(), &rule.name);
        let line = format!(
            "session binding: {what}: reason={reason} rule={rule} connection={connection}{suppressed}"
        );
        host::log(level, &line);
    }

    /// Takes a line of this second; how many were left out when a new second begins. `None` if this
    /// second has no line left.
    fn take(&self) -> Option<u64> {
        let now = host::now().map_or(0, |now| now.as_secs());
        let mut suppressed = 0;
        if self.second.replace(now) != now {
            suppressed = self.lines.replace(0).saturating_sub(LINES_PER_SECOND);
        }
        let lines = self.lines.get() + 1;
        self.lines.set(lines);
        (lines <= LINES_PER_SECOND).then_some(suppressed)
    }
}
