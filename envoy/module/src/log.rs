//! Lines for the host's log.

use std::sync::OnceLock;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something happened as it should.
    Info,
    /// Something is probably not as the operator wants it.
    Warning,
    /// Something needs the operator.
    Error,
}

/// Writes one line.
pub type Sink = fn(Level, &str);

static SINK: OnceLock<Sink> = OnceLock::new();

/// Sends all lines to `sink`; the first call counts.
pub fn to(sink: Sink) {
    SINK.get_or_init(|| sink);
}

/// Writes a line about something that needs the operator.
pub fn error(line: &str) {
    write(Level::Error, line);
}

/// Writes a line about something that is probably not as the operator wants it.
pub fn warn(line: &str) {
    write(Level::Warning, line);
}

/// Writes a line about something that happened as it should.
pub fn info(line: &str) {
    write(Level::Info, line);
}

fn write(level: Level, line: &str) {
    if let Some(sink) = SINK.get() {
        sink(level, &format!("tls_session_binding: {line}"));
    }
}
