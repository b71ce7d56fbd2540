//! Configuration of the HTTP filter `prover`.

use std::time::Duration;

use tls_session_binding::pattern::{HostPattern, PathPattern};
use tls_session_binding::target_uri::{normalise_host, normalise_path};

use super::Mistakes;
use super::section::{Section, read_object};

/// How long a request waits for a connection by default; Envoy's own connect timeout is 5 s.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// How long a proof is sent by default: a minute less than verifiers accept it.
const PROOF_LIFETIME: Duration = Duration::from_mins(4);

/// What the filter does with requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProverConfig {
    /// Where proofs may go.
    pub allow: Targets,
    /// What becomes of requests to other targets.
    pub not_allowed: Unproved,
    /// What becomes of requests without a Bearer token.
    pub without_token: Unproved,
    /// Claims that bind a proof to one request.
    pub claims: Claims,
    /// How long a request waits for a connection.
    pub max_wait: Duration,
    /// How long a proof is sent again before a new one is signed.
    pub proof_lifetime: Duration,
}

/// What becomes of a request that gets no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unproved {
    /// It goes on without one.
    Pass,
    /// It is refused.
    Refuse,
}

/// Hosts and paths; an empty list means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    hosts: Vec<HostPattern>,
    paths: Vec<PathPattern>,
}

/// Claims that make a proof good for one request only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Claims {
    /// The method.
    pub htm: bool,
    /// The target without its query.
    pub htu: bool,
    /// A unique id.
    pub jti: bool,
}

impl ProverConfig {
    /// Reads and validates the JSON of `filter_config`.
    ///
    /// # Errors
    /// All mistakes at once, each with the path of its key.
    pub fn parse(json: &[u8]) -> Result<Self, Mistakes> {
        read_object(json, |config| {
            let unproved = |config: &mut Section<'_>, key| {
                config
                    .value(key, "`pass` or `refuse`")
                    .unwrap_or(Unproved::Pass)
            };
            Some(Self {
                allow: Targets::read(&mut config.section("allow")),
                not_allowed: unproved(config, "not_allowed"),
                without_token: unproved(config, "without_token"),
                claims: Claims::read(config),
                max_wait: duration(config, "max_wait", MAX_WAIT),
                proof_lifetime: duration(config, "proof_lifetime", PROOF_LIFETIME),
            })
        })
    }
}

impl Targets {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            hosts: patterns(section, "hosts", HostPattern::try_from),
            paths: patterns(section, "paths", |path| PathPattern::prefix(&path)),
        }
    }

    /// Whether nothing is listed, so that a proof may go anywhere.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.paths.is_empty()
    }

    /// Whether a proof may go to this target; `authority` may have a port. To one that cannot be read it may
    /// not, if it is read.
    #[must_use]
    pub fn admit(&self, authority: &[u8], path: &[u8]) -> bool {
        let (host, path) = (normalise_host(authority), normalise_path(path));
        let is_host = |host: Vec<u8>| self.hosts.iter().any(|one| one.matches(&host));
        let is_path = |path: Vec<u8>| self.paths.iter().any(|one| one.matches(&path));
        (self.hosts.is_empty() || host.is_some_and(is_host))
            && (self.paths.is_empty() || path.is_some_and(is_path))
    }
}

/// The patterns of a list; each that can match no request is a mistake.
fn patterns<P>(
    section: &mut Section<'_>,
    key: &str,
    parse: impl Fn(String) -> Result<P, &'static str>,
) -> Vec<P> {
    let texts: Vec<String> = section.value(key, "a list of texts").unwrap_or_default();
    let mut patterns = Vec::new();
    for text in texts {
        match parse(text) {
            Ok(pattern) => patterns.push(pattern),
            Err(mistake) => section.mistake(key, mistake),
        }
    }
    patterns
}

impl Claims {
    /// Reads the JSON of a route's own `filter_config`, which has only `claims`.
    ///
    /// # Errors
    /// All mistakes at once, each with the path of its key.
    pub fn parse(json: &[u8]) -> Result<Self, Mistakes> {
        read_object(json, |config| Some(Self::read(config)))
    }

    fn read(config: &mut Section<'_>) -> Self {
        let names: Vec<String> = config
            .value("claims", "a list of `htm`, `htu`, `jti`")
            .unwrap_or_default();
        let mut claims = Self::default();
        for name in &names {
            match name.as_str() {
                "htm" => claims.htm = true,
                "htu" => claims.htu = true,
                "jti" => claims.jti = true,
                _ => config.mistake(
                    "claims",
                    &format!("`{name}` is none of `htm`, `htu`, `jti`"),
                ),
            }
        }
        claims
    }

    /// Whether there is none, so that a proof is good for every request on its connection.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

fn duration(config: &mut Section<'_>, key: &str, default: Duration) -> Duration {
    seconds(config, key).unwrap_or(default)
}

/// A number of seconds, if there is one.
pub(super) fn seconds(config: &mut Section<'_>, key: &str) -> Option<Duration> {
    let expected = "seconds, from `1s` to `3600s`";
    let text = config.value::<String>(key, expected)?;
    let number = text.strip_suffix('s').and_then(|text| text.parse().ok());
    if let Some(seconds @ 1..=3600) = number {
        return Some(Duration::from_secs(seconds));
    }
    config.mistake(key, &format!("expected {expected}"));
    None
}

#[cfg(test)]
mod tests;
