//! One HTTP request: gather, decide, act.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::authorization::refuse_token_in_query;
use crate::cache::{KnownBinding, Presentation};
use crate::challenge::Challenge;
use crate::error::{HostFault, Refusal};
use crate::policy::{Admitted, ProvedRequest, RequestHeaders, Step};
use crate::proof;
use crate::replay::Slot;
use crate::rule::{Mode, Rule};
use crate::target_uri::RequestTarget;
use crate::verify::{Connection, RequestLine, VerifiedBinding};

use super::connection::{self, Downstream};
use super::host;
use super::outcome::{self, Outcome};
use super::root::Plugin;

/// How often a `jti` is tried to be remembered while other workers write the same bucket.
const MAX_SWAPS: usize = 8;

/// The context of one request.
pub(super) struct Http {
    plugin: Rc<Plugin>,
}

impl Http {
    pub(super) const fn new(plugin: Rc<Plugin>) -> Self {
        Self { plugin }
    }

    /// Finds the rule for the request and judges it.
    fn judge(&self, lines: &[(String, Vec<u8>)]) -> (&Rule, Result<Outcome, Refusal>) {
        let policy = &self.plugin.config.policy;
        let headers = Headers::gather(lines);
        match policy.select(&headers.line()) {
            Ok(rule) => {
                let connection = Downstream::new(&self.plugin);
                match self.find_known(rule, &headers, &connection) {
                    Some(known) => (rule, Ok(Outcome::of(&Admitted::Known(known)))),
                    None => (rule, self.verify(rule, &headers, &connection)),
                }
            }
            Err(fault) => (&policy.default, Err(fault.into())),
        }
    }

    /// Looks for what was verified before. Whatever is amiss here is not found, and then judged by
    /// [`Self::verify`].
    fn find_known(
        &self,
        rule: &Rule,
        headers: &Headers<'_>,
        connection: &Downstream<'_>,
    ) -> Option<KnownBinding> {
        let ([authorization], [proof]) = (&headers.authorization[..], &headers.proof[..]) else {
            return None;
        };
        refuse_token_in_query(headers.path).ok()?;
        let presented = Presentation {
            rule: rule.number,
            exporter: connection.exporter().ok()?,
            authorization,
            proof,
        };
        self.plugin.bindings.find(&presented, host::now().ok()?)
    }

    /// Verifies the request in full.
    fn verify(
        &self,
        rule: &Rule,
        headers: &Headers<'_>,
        connection: &Downstream<'_>,
    ) -> Result<Outcome, Refusal> {
        let presented = match rule.present(&headers.request())? {
            Step::Done(admitted) => return Ok(Outcome::of(&admitted)),
            Step::Next(presented) => presented,
        };
        let now = host::now()?;
        let claims = connection::claims(&presented, &self.plugin.config.confirmation)?;
        let bound = match presented.confirm(&claims, rule, now)? {
            Step::Done(admitted) => return Ok(Outcome::of(&admitted)),
            Step::Next(bound) => bound,
        };
        let connection = connection.read()?;
        match bound.authenticate(&connection, now)? {
            Step::Done(admitted) => Ok(Outcome::of(&admitted)),
            Step::Next(proved) => self.verify_proof(rule, &proved, &connection, now),
        }
    }

    /// Verifies the proof, unless another VM has.
    fn verify_proof(
        &self,
        rule: &Rule,
        proved: &ProvedRequest<'_>,
        connection: &Connection,
        now: u64,
    ) -> Result<Outcome, Refusal> {
        let Plugin {
            config,
            signatures,
            bindings,
            metrics,
            ..
        } = &*self.plugin;
        let slot = proved
            .presentation(rule, &connection.exporter)
            .and_then(|presented| bindings.look_up(config, presented));
        let known = slot
            .as_ref()
            .and_then(|slot| bindings.find_shared(slot, &connection.certificate, now));
        if let Some(known) = known {
            return Ok(Outcome::of(&Admitted::Known(known)));
        }
        bindings.count_miss();
        let began = host::now_nanos();
        let verified = proved.verify(connection, rule, now, signatures)?;
        metrics.record_verification(host::now_nanos().saturating_sub(began));
        refuse_replay(&verified, connection, now)?;
        bindings.insert(slot, &verified, now);
        Ok(Outcome::of(&Admitted::SessionBound(verified)))
    }

    fn act(&self, rule: &Rule, outcome: Result<Outcome, Refusal>) -> Result<(), Refusal> {
        let Plugin {
            config, metrics, ..
        } = &*self.plugin;
        if !config.policy.rules.is_empty() {
            outcome::publish_rule(rule);
        }
        match outcome {
            Ok(outcome) => {
                outcome.publish(config.verified_header.as_deref())?;
                metrics.count_admitted(rule, outcome.verdict);
            }
            Err(refusal) if rule.mode == Mode::Observe => {
                outcome::publish_refusal("observed", refusal);
                metrics.count_observed(rule, refusal);
                self.plugin.log.refusal("would refuse", rule, refusal);
                outcome::strip(config.verified_header.as_deref())?;
            }
            Err(refusal) => return Err(refusal),
        }
        Ok(())
    }

    fn refuse(&self, rule: &Rule, refusal: Refusal) {
        outcome::publish_refusal("refused", refusal);
        self.plugin.metrics.count_refused(rule, refusal);
        self.plugin.log.refusal("refused", rule, refusal);
        host::respond(&Challenge::new(refusal, &self.plugin.config.challenge));
    }
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.plugin.check_host();
        let lines = match host::request_headers() {
            Ok(lines) => lines,
            Err(fault) => {
                self.refuse(&self.plugin.config.policy.default, fault.into());
                return Action::Pause;
            }
        };
        let (rule, outcome) = self.judge(&lines);
        match self.act(rule, outcome) {
            Ok(()) => Action::Continue,
            Err(refusal) => {
                self.refuse(rule, refusal);
                Action::Pause
            }
        }
    }
}

/// Remembers the `jti` of a verified proof, if it has one (V-i).
fn refuse_replay(
    verified: &VerifiedBinding<'_>,
    connection: &Connection,
    now: u64,
) -> Result<(), Refusal> {
    let Some(jti) = verified.jti() else {
        return Ok(());
    };
    let slot = Slot::new(host::connection_id()?, &connection.exporter, jti);
    let key = format!("tls_session_binding.replay.{}", slot.bucket());
    for _ in 0..MAX_SWAPS {
        let (bucket, cas) = host::shared_data(&key);
        let next = slot.remember(&bucket, verified.acceptable_until(), now)?;
        if host::swap_shared_data(&key, &next, cas) {
            return Ok(());
        }
    }
    Err(HostFault::ReplayMemoryUnusable.into())
}

/// The header lines that binding is about.
#[derive(Default)]
struct Headers<'a> {
    authorization: Vec<&'a [u8]>,
    proof: Vec<&'a [u8]>,
    method: &'a [u8],
    authority: &'a [u8],
    path: &'a [u8],
}

impl<'a> Headers<'a> {
    fn gather(lines: &'a [(String, Vec<u8>)]) -> Self {
        let mut headers = Self::default();
        for (name, value) in lines {
            match name.as_str() {
                "authorization" => headers.authorization.push(value),
                proof::HEADER => headers.proof.push(value),
                ":method" => headers.method = value,
                ":authority" => headers.authority = value,
                ":path" => headers.path = value,
                _ => {}
            }
        }
        headers
    }

    const fn line(&self) -> RequestLine<'a> {
        let target = RequestTarget {
            authority: self.authority,
            path: self.path,
        };
        RequestLine {
            method: self.method,
            target,
        }
    }

    fn request(&'a self) -> RequestHeaders<'a> {
        RequestHeaders {
            authorization: &self.authorization,
            proof: &self.proof,
            line: self.line(),
        }
    }
}
