//! One HTTP request: gather, decide, act.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::challenge::Challenge;
use crate::decide::{Decision, decide};
use crate::error::Refusal;
use crate::request::Request;
use crate::rule::{Mode, Rule};

use super::host;
use super::outcome::{self, Present};
use super::plugin::Plugin;
use super::seam::Envoy;

/// The context of one request.
pub(super) struct Http {
    plugin: Rc<Plugin>,
}

impl Http {
    pub(super) const fn new(plugin: Rc<Plugin>) -> Self {
        Self { plugin }
    }

    fn decide(&self, request: &Request<'_>) -> Decision<'_> {
        let plugin = &*self.plugin;
        let config = &plugin.config;
        let mut state = plugin.state.borrow_mut();
        let before = (state.bindings(), state.evicted());
        let decision = decide(
            request,
            config,
            &mut state,
            &Envoy(config),
            &plugin.signatures,
        );
        let after = (state.bindings(), state.evicted());
        plugin.cache.count(decision.cache);
        plugin.cache.count_kept(before, after);
        if let Some(since) = decision.verified_since {
            plugin.metrics.record_verification(since);
        }
        if let Some(thumbprint) = &decision.certificate {
            outcome::publish_certificate(thumbprint);
        }
        decision
    }

    fn act(&self, decision: &Decision<'_>, present: &Present<'_>) -> Result<(), Refusal> {
        let Plugin {
            config, metrics, ..
        } = &*self.plugin;
        let rule = decision.rule;
        if !config.policy.rules.is_empty() {
            outcome::publish_rule(rule);
        }
        match &decision.outcome {
            Ok(admitted) => {
                present.remove(host::Block::Headers)?;
                outcome::publish(admitted, config.verified_header.as_deref())?;
                metrics.count_admitted(rule, admitted.verdict());
            }
            Err(refusal) if rule.mode == Mode::Observe => {
                outcome::publish_refusal("observed", *refusal);
                metrics.count_observed(rule, *refusal);
                self.plugin.log.refusal("would refuse", rule, *refusal);
                present.remove(host::Block::Headers)?;
            }
            Err(refusal) => return Err(*refusal),
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
        let config = &self.plugin.config;
        let lines = match host::request_lines(host::Block::Headers) {
            Ok(lines) => lines,
            Err(fault) => {
                self.refuse(&config.policy.default, fault.into());
                return Action::Pause;
            }
        };
        let pairs = || {
            lines
                .iter()
                .map(|(name, value)| (name.as_str(), &value[..]))
        };
        let elsewhere = &config.tokens_elsewhere;
        let request = Request::gather(pairs(), |name, value| elsewhere.is_in_header(name, value));
        self.plugin.check_host(&request);
        let decision = self.decide(&request);
        let present = Present::among(pairs(), config.verified_header.as_deref());
        match self.act(&decision, &present) {
            Ok(()) => Action::Continue,
            Err(refusal) => {
                self.refuse(decision.rule, refusal);
                Action::Pause
            }
        }
    }

    /// Services may read a trailer as if it were a header. A host that cannot remove it ends the request.
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        let config = &self.plugin.config;
        let removed = host::request_lines(host::Block::Trailers).and_then(|lines| {
            let pairs = lines
                .iter()
                .map(|(name, value)| (name.as_str(), &value[..]));
            let present = Present::among(pairs, config.verified_header.as_deref());
            present.remove(host::Block::Trailers)
        });
        match removed {
            Ok(()) => Action::Continue,
            Err(fault) => {
                self.refuse(&config.policy.default, fault.into());
                Action::Pause
            }
        }
    }
}
