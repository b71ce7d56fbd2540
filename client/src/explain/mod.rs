//! Why a request is accepted or refused, rule by rule, for people: the core decides, and this tells what was
//! compared. No file, no clock and no connection is touched, so it runs wherever the core does.
//!
//! What is told holds no token, no proof and no exporter value: of secrets, only whether they are equal.

mod compared;
mod decoded;
mod host;
mod host_map;
mod rules;
mod vectors;

use serde::Serialize;
use serde_json::Value;
use tls_session_binding::challenge::Challenge;
use tls_session_binding::config::{Config, Mistakes};
use tls_session_binding::decide::{Decision, Verdict, decide};
use tls_session_binding::error::{ClientFault, Refusal};
use tls_session_binding::proof::UntrustedProof;
use tls_session_binding::request::{Request, RequestLine, RequestTarget};
use tls_session_binding::rule::Mode;
use tls_session_binding::signature::RustCrypto;
use tls_session_binding::state::State;

pub use decoded::Decoded;
pub use vectors::{Case, Expected, Vectors};

use compared::Compared;
use host::InMemory;
use rules::Rule;

/// One request on one connection, in the bytes that a host gives.
///
/// `Debug` is not implemented: token, proof and exporter value are secrets.
#[derive(Clone, Default)]
pub struct Asked {
    /// The filter's configuration.
    pub config: Vec<u8>,
    /// The connection's exporter value as the configuration says it is written; empty if there is none.
    pub exporter: Vec<u8>,
    /// The client certificate as the configuration says it is written; empty if there is none.
    pub certificate: Vec<u8>,
    /// What another filter verified of the token.
    pub claims: Option<Value>,
    /// The verifier's clock, in seconds since 1970.
    pub now: u64,
    /// `:method`.
    pub method: Vec<u8>,
    /// `:authority`.
    pub authority: Vec<u8>,
    /// `:path`.
    pub path: Vec<u8>,
    /// Every value of `Authorization`.
    pub authorization: Vec<Vec<u8>>,
    /// Every value of `Session-Binding-Proof`.
    pub proof: Vec<Vec<u8>>,
}

/// What became of a request, and why.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// How an accepted request is bound.
    pub verdict: Option<&'static str>,
    /// The rule's name in metrics and logs, if the request is refused.
    pub reason: Option<&'static str>,
    /// Name of the policy's rule that decided.
    pub policy_rule: String,
    /// Whether that rule only observes: what it refuses is counted, and goes on.
    pub observed: bool,
    /// The answer to a refused request.
    pub answer: Option<Answer>,
    /// Each rule, in the order in which they are applied.
    pub rules: Vec<Step>,
}

/// What a refused client gets.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// HTTP status.
    pub status: u32,
    /// `error` in the challenge.
    pub error: Option<String>,
    /// The challenge.
    pub www_authenticate: Option<String>,
    /// The body.
    pub body: &'static str,
}

/// One rule, as applied to one request.
#[derive(Debug, Serialize)]
pub struct Step {
    /// Its id in `docs/protocol.md`, or the specification that it is from.
    pub id: &'static str,
    /// What it says.
    pub rule: &'static str,
    /// Whether it holds.
    pub state: StepState,
    /// What was compared, where there is something to tell.
    pub compared: Option<String>,
}

/// Whether a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It holds.
    Holds,
    /// It does not: the request is refused.
    Fails,
    /// A rule before it failed.
    NotReached,
    /// Nothing asks for it in this request.
    NotNeeded,
}

/// Decides as the verifier does, and tells why.
///
/// # Errors
/// [`Mistakes`] of the configuration.
pub fn explain(asked: &Asked) -> Result<Explanation, Mistakes> {
    let config = Config::parse(&asked.config)?;
    let mut state = State::new(config.cache, 0);
    let host = InMemory::new(asked);
    let decision = decide(&asked.request(), &config, &mut state, &host, &RustCrypto);
    let compared = Compared::new(asked, &config, decision.rule);
    let outcome = decision.outcome.map(|admitted| admitted.verdict());
    let step = |rule: Rule| {
        let (id, words) = rule.words();
        let state = state_of(rule, outcome, asked, &compared);
        let is_told = matches!(state, StepState::Holds | StepState::Fails);
        Step {
            id,
            rule: words,
            state,
            compared: compared.words(rule).filter(|_| is_told),
        }
    };
    Ok(Explanation {
        verdict: outcome.ok().map(Verdict::name),
        reason: outcome.err().map(Refusal::reason),
        policy_rule: decision.rule.name.clone(),
        observed: decision.rule.mode == Mode::Observe,
        answer: answer(&decision, &config),
        rules: Rule::ALL.map(step).into(),
    })
}

fn answer(decision: &Decision<'_>, config: &Config) -> Option<Answer> {
    let refusal = decision.outcome.err()?;
    let challenge = Challenge::new(refusal, &config.challenge);
    let shown = challenge.www_authenticate.as_deref().unwrap_or_default();
    let error = shown.strip_prefix("Bearer error=\"");
    let error = error.and_then(|rest| rest.split('"').next());
    Some(Answer {
        status: challenge.status,
        error: error.map(str::to_owned),
        body: challenge.body,
        www_authenticate: challenge.www_authenticate,
    })
}

fn state_of(
    rule: Rule,
    outcome: Result<Verdict, Refusal>,
    asked: &Asked,
    compared: &Compared<'_>,
) -> StepState {
    match outcome {
        Err(refusal) => match rule.cmp(&failed(refusal, asked, compared)) {
            std::cmp::Ordering::Less => StepState::Holds,
            std::cmp::Ordering::Equal => StepState::Fails,
            std::cmp::Ordering::Greater => StepState::NotReached,
        },
        Ok(verdict) if rule <= last_needed(verdict) => StepState::Holds,
        Ok(_) => StepState::NotNeeded,
    }
}

/// Two faults have one name and two places.
fn failed(refusal: Refusal, asked: &Asked, compared: &Compared<'_>) -> Rule {
    let is_form = || {
        let [proof] = &asked.proof[..] else {
            return false;
        };
        UntrustedProof::parse(proof).is_err()
    };
    match refusal {
        Refusal::Client(ClientFault::ProofAlgorithmRefused) if is_form() => Rule::Form,
        Refusal::Client(ClientFault::ProofSignatureInvalid) if compared.has_wrong_length() => {
            Rule::Algorithm
        }
        _ => Rule::of(refusal),
    }
}

const fn last_needed(verdict: Verdict) -> Rule {
    match verdict {
        Verdict::WithoutToken => Rule::TokenThere,
        Verdict::Unbound => Rule::Confirmation,
        Verdict::CertificateBound => Rule::CertificateValid,
        Verdict::SessionBound => Rule::Replay,
    }
}

impl Asked {
    fn request(&self) -> Request<'_> {
        Request {
            authorization: self.authorization.iter().map(Vec::as_slice).collect(),
            proof: self.proof.iter().map(Vec::as_slice).collect(),
            line: self.line(),
            has_token_elsewhere: false,
        }
    }

    fn line(&self) -> RequestLine<'_> {
        RequestLine {
            method: &self.method,
            target: RequestTarget {
                authority: &self.authority,
                path: &self.path,
            },
        }
    }
}
