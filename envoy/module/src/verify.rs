//! The HTTP filter `verify`: the verifier of the package `tls-session-binding`, with the module as its host.
//!
//! What a connection has shown comes from the module's own memory, which no other filter can write. A
//! connection never leaves its worker, so everything that is kept is kept for each worker alone.

mod counts;
mod host;
mod keep;
mod present;
mod signatures;

pub use counts::{Counts, Registration, VERIFICATION, flush, register};
pub use keep::purge;
pub use signatures::AwsLc;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tls_session_binding::challenge::Challenge;
use tls_session_binding::config::{Config, ConfirmationSource, PropertyPath, Role};
use tls_session_binding::decide::{Admitted, Decision, Host as _, decide};
use tls_session_binding::error::{HostFault, Refusal};
use tls_session_binding::rule::{Mode, Rule};

use crate::config::Mistakes;
use host::Connection;
use present::Present;

/// Filter state that access logs read, under the names that the Proxy-Wasm filter's has.
const VERDICT: &str = "wasm.session_binding.verdict";
const REASON: &str = "wasm.session_binding.reason";
const RULE: &str = "wasm.session_binding.rule";
const THUMBPRINT: &str = "wasm.session_binding.thumbprint";

/// A block of a request's header lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// What the request begins with.
    Headers,
    /// What it ends with.
    Trailers,
}

/// How long filter state lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifeSpan {
    /// One pass through the filters.
    Pass,
    /// As long as the request, through redirects.
    Request,
    /// As long as the downstream connection.
    Connection,
}

/// Header lines in the order of the request: names in lower case, every line of a repeated header by itself.
pub type Lines<'a> = Vec<(&'a str, &'a [u8])>;

/// Envoy's side of a request on a listener.
pub trait Request {
    /// Number of the downstream connection.
    fn connection_id(&self) -> Option<u64>;
    /// All lines of a block; `None` if they cannot be read.
    fn lines(&self, block: Block) -> Option<Lines<'_>>;
    /// Removes every line of one name.
    fn remove(&mut self, block: Block, name: &str) -> bool;
    /// Sets a request header in place of all its values.
    fn set_header(&mut self, name: &str, value: &str) -> bool;
    /// A copy of what filter state holds.
    fn filter_state(&self, key: &str) -> Option<Vec<u8>>;
    /// Sets filter state.
    fn set_filter_state(&self, key: &str, value: &[u8], span: LifeSpan);
    /// Adds a value to a histogram, by Envoy's number of it.
    fn record(&self, histogram: usize, value: u64);
    /// Answers in place of the service; `reason` is for access logs.
    fn answer(&mut self, challenge: &Challenge, reason: &str);
}

/// The filter as configured.
#[derive(Debug)]
pub struct Verify {
    config: Config,
    counts: Arc<Counts>,
}

impl Verify {
    /// Reads the configuration, which is that of the Proxy-Wasm filter without `role`.
    ///
    /// # Errors
    /// All mistakes of the configuration, or all properties that no module can read.
    pub fn load(text: &[u8]) -> Result<Self, Mistakes> {
        let config = Config::parse(text).map_err(|mistakes| Mistakes::one(mistakes.to_string()))?;
        let mistakes = unreadable(text, &config).join("; ");
        if !mistakes.is_empty() {
            return Err(Mistakes::one(mistakes));
        }
        let counts = Arc::new(Counts::new(&config.policy));
        Ok(Self { config, counts })
    }

    /// What it counts.
    #[must_use]
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// The request's headers are there: whether it goes on. Otherwise it has been answered.
    pub fn headers(self: &Arc<Self>, request: &mut dyn Request) -> bool {
        let default = &self.config.policy.default;
        let Some(lines) = request.lines(Block::Headers) else {
            return self.refuse(request, default, HostFault::RequestUnreadable.into());
        };
        #[cfg(feature = "panic-on-demand")]
        lines
            .iter()
            .filter(|(name, _)| *name == ":path")
            .for_each(|(_, path)| crate::demand::panic_if_asked(path));
        let present = Present::among(&lines, self.config.verified_header.as_deref());
        let decision = self.decide(request, &lines);
        if let Some(thumbprint) = &decision.certificate {
            let thumbprint = thumbprint.to_base64url();
            request.set_filter_state(THUMBPRINT, thumbprint.as_bytes(), LifeSpan::Connection);
        }
        match self.act(&decision, request, &present) {
            Ok(()) => true,
            Err(refusal) => self.refuse(request, decision.rule, refusal),
        }
    }

    /// Services may read a trailer as if it were a header: whether the request goes on.
    pub fn trailers(&self, request: &mut dyn Request) -> bool {
        let lines = request.lines(Block::Trailers);
        let header = self.config.verified_header.as_deref();
        let present = lines.map(|lines| Present::among(&lines, header));
        present.is_some_and(|present| present.remove(request, Block::Trailers).is_ok())
            || self.refuse(
                request,
                &self.config.policy.default,
                HostFault::RequestUnreadable.into(),
            )
    }

    fn decide(self: &Arc<Self>, request: &dyn Request, lines: &Lines<'_>) -> Decision<'_> {
        let config = &self.config;
        let elsewhere = &config.tokens_elsewhere;
        let gathered =
            tls_session_binding::request::Request::gather(lines.iter().copied(), |name, value| {
                elsewhere.is_in_header(name, value)
            });
        let connection = Connection::of(config, request);
        if !self.counts.know_all_is_there() && gathered.presents_token() {
            self.counts.tell_what_is_there(&connection);
        }
        keep::with_state(self, |state| {
            let before = (state.bindings(), state.evicted());
            let decision = decide(&gathered, config, state, &connection, &AwsLc);
            self.counts
                .count_kept(before, (state.bindings(), state.evicted()));
            self.counts.count_cache(decision.cache);
            if let Some(since) = decision.verified_since {
                let nanos = connection.now().unwrap_or(since).saturating_sub(since);
                request.record(self.counts.verification(), nanos / 1000);
            }
            decision
        })
    }

    fn act(
        &self,
        decision: &Decision<'_>,
        request: &mut dyn Request,
        present: &Present,
    ) -> Result<(), Refusal> {
        let rule = decision.rule;
        if !self.config.policy.rules.is_empty() {
            request.set_filter_state(RULE, rule.name.as_bytes(), LifeSpan::Pass);
        }
        match &decision.outcome {
            Ok(admitted) => {
                present.remove(request, Block::Headers)?;
                self.publish(request, admitted)?;
                self.counts.count_admitted(rule, admitted.verdict());
            }
            Err(refusal) if rule.mode == Mode::Observe => {
                publish_refusal(request, "observed", *refusal);
                self.counts.count_observed(rule, *refusal);
                keep::log_refusal("would refuse", rule, *refusal, request.connection_id());
                present.remove(request, Block::Headers)?;
            }
            Err(refusal) => return Err(*refusal),
        }
        Ok(())
    }

    fn publish(&self, request: &mut dyn Request, admitted: &Admitted) -> Result<(), HostFault> {
        let verdict = admitted.verdict().name();
        request.set_filter_state(VERDICT, verdict.as_bytes(), LifeSpan::Pass);
        let header = self.config.verified_header.as_deref();
        match header.zip(admitted.header_value()) {
            Some((name, value)) if !request.set_header(name, &value) => {
                Err(HostFault::RequestUnreadable)
            }
            _ => Ok(()),
        }
    }

    /// Answers; the request does not go on.
    fn refuse(&self, request: &mut dyn Request, rule: &Rule, refusal: Refusal) -> bool {
        publish_refusal(request, "refused", refusal);
        self.counts.count_refused(rule, refusal);
        keep::log_refusal("refused", rule, refusal, request.connection_id());
        let challenge = Challenge::new(refusal, &self.config.challenge);
        request.answer(&challenge, refusal.reason());
        false
    }
}

fn publish_refusal(request: &dyn Request, verdict: &str, refusal: Refusal) {
    request.set_filter_state(VERDICT, verdict.as_bytes(), LifeSpan::Pass);
    request.set_filter_state(REASON, refusal.reason().as_bytes(), LifeSpan::Pass);
}

/// What the configuration says that a module has no use for, or no way to read.
fn unreadable(text: &[u8], config: &Config) -> Vec<String> {
    let mut properties = vec![
        ("exporter", &config.exporter.property),
        ("client_certificate", &config.client_certificate.property),
    ];
    if let ConfirmationSource::Property(path) = &config.confirmation {
        properties.push(("confirmation", path));
    }
    let unreadable = properties
        .into_iter()
        .filter(|(_, path)| filter_state_key(path).is_none());
    let mut mistakes: Vec<String> = unreadable
        .map(|(key, _)| {
            format!(
                "{key}.property: the module reads [\"filter_state\", key] alone; Envoy's set_filter_state writes anything else there"
            )
        })
        .collect();
    // Given or not, its default is the only role of a filter of the module.
    let names_role = serde_json::from_slice::<serde_json::Map<_, serde_json::Value>>(text)
        .is_ok_and(|members| members.contains_key("role"));
    if names_role || config.role != Role::Verify {
        mistakes.push("role: a filter of the module has none".to_owned());
    }
    mistakes
}

/// The key of filter state that a property is.
fn filter_state_key(path: &PropertyPath) -> Option<&str> {
    match &path[..] {
        [kind, key] if kind == "filter_state" => Some(key),
        _ => None,
    }
}

/// The wall clock, in nanoseconds since 1970.
fn nanos() -> Option<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

#[cfg(test)]
mod tests;
