//! One HTTP request: gather, decide, act.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::authorization::refuse_token_in_query;
use crate::cache::Presentation;
use crate::challenge::Challenge;
use crate::error::{HostFault, Refusal};
use crate::policy::{Admitted, RequestHeaders, Step, Verdict};
use crate::proof;
use crate::replay::Slot;
use crate::target_uri::RequestTarget;
use crate::verify::{Connection, RequestLine, VerifiedBinding};

use super::connection;
use super::host;
use super::root::Plugin;

/// Filter state with the outcome: the verdict on an admitted request, the reason of a refused one.
const VERDICT: &str = "session_binding.verdict";

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

    fn judge(&self) -> Result<Verdict, Refusal> {
        match self.find_known() {
            Some(known) => Ok(known.verdict()),
            None => self.verify(),
        }
    }

    /// Looks for what was verified before, with as few host calls as that takes. Whatever is amiss here
    /// is not found, and then judged by [`Self::verify`].
    fn find_known(&self) -> Option<Admitted<'static>> {
        let Plugin {
            config, bindings, ..
        } = &*self.plugin;
        let proof = host::joined_request_header(proof::HEADER)?;
        let authorization = host::request_header("authorization")?;
        refuse_token_in_query(&host::request_header(":path")?).ok()?;
        let exporter = connection::exporter(config).ok()?;
        let (authorization, proof) = (&authorization[..], &proof[..]);
        let presented = Presentation {
            exporter: &exporter,
            authorization,
            proof,
        };
        bindings
            .find(&presented, host::now().ok()?)
            .map(Admitted::Known)
    }

    /// Verifies the request in full.
    fn verify(&self) -> Result<Verdict, Refusal> {
        let Plugin {
            config,
            signatures,
            bindings,
            ..
        } = &*self.plugin;
        let lines = host::request_headers()?;
        let headers = Headers::gather(&lines);
        let presented = match config.policy.present(&headers.request())? {
            Step::Done(admitted) => return Ok(admitted.verdict()),
            Step::Next(presented) => presented,
        };
        let now = host::now()?;
        let claims = connection::claims(&presented, &config.confirmation)?;
        let bound = match presented.confirm(&claims, &config.policy, now)? {
            Step::Done(admitted) => return Ok(admitted.verdict()),
            Step::Next(bound) => bound,
        };
        let connection = connection::read(config)?;
        let presentation = bound.presentation(&connection.exporter);
        let known = presentation.and_then(|shown| bindings.find_shared(config, &shown, now));
        if let Some(known) = known {
            return Ok(Admitted::Known(known).verdict());
        }
        let admitted = bound.verify(&connection, &config.policy, now, signatures)?;
        if let Admitted::SessionBound(verified) = &admitted {
            refuse_replay(verified, &connection, now)?;
            bindings.insert(config, verified, now);
        }
        Ok(admitted.verdict())
    }

    fn admit(&self, verdict: Verdict) -> Result<(), Refusal> {
        host::remove_request_header(proof::HEADER)?;
        host::set_filter_state(VERDICT, verdict.name());
        self.plugin.metrics.count_admitted(verdict);
        Ok(())
    }

    fn refuse(&self, refusal: Refusal) {
        host::set_filter_state(VERDICT, refusal.reason());
        self.plugin.metrics.count_refused(refusal);
        host::respond(&Challenge::new(
            refusal,
            self.plugin.config.error_description,
        ));
    }
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let outcome = self.judge().and_then(|verdict| self.admit(verdict));
        match outcome {
            Ok(()) => Action::Continue,
            Err(refusal) => {
                self.refuse(refusal);
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

    fn request(&'a self) -> RequestHeaders<'a> {
        let target = RequestTarget {
            authority: self.authority,
            path: self.path,
        };
        RequestHeaders {
            authorization: &self.authorization,
            proof: &self.proof,
            line: RequestLine {
                method: self.method,
                target,
            },
        }
    }
}
