//! A host in memory: the decision runs in it as it does in Envoy.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use tls_session_binding::algorithm::Algorithm;
use tls_session_binding::challenge::Challenge;
use tls_session_binding::config::Config;
use tls_session_binding::decide::{CacheEvent, Decision, Host, decide, purge};
use tls_session_binding::error::{HostFault, Refusal};
use tls_session_binding::host_map::Property;
use tls_session_binding::public_key::PublicKey;
use tls_session_binding::request::{Request, RequestLine, RequestTarget};
use tls_session_binding::signature::{RustCrypto, SignatureVerifier};
use tls_session_binding::state::State;

use super::host_map;

/// Prefix of the keys under which seen `jti` are remembered.
const REPLAY: &str = "tls_session_binding.replay.";

/// Prefix of the keys under which bindings are shared.
pub(crate) const BINDINGS: &str = "tls_session_binding.bindings.";

/// One request on one connection under one configuration, in the bytes that a host gives.
#[derive(Clone)]
pub(crate) struct Situation {
    pub(crate) config: Vec<u8>,
    pub(crate) exporter: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) now: u64,
    pub(crate) method: Vec<u8>,
    pub(crate) authority: Vec<u8>,
    pub(crate) path: Vec<u8>,
    pub(crate) authorization: Vec<Vec<u8>>,
    pub(crate) proof: Vec<Vec<u8>>,
    /// All other header lines.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// What another filter verified of the token: claims at the configured property.
    pub(crate) claims: Option<Value>,
    /// The host's number of the connection.
    pub(crate) connection_id: u64,
    /// Whether the host runs the filter on the request before once more, after a redirect.
    pub(crate) is_redirected: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted(&'static str),
    Refused(Refusal, Challenge),
    /// The configuration is refused; the keys that its mistakes name.
    Misconfigured(BTreeSet<String>),
}

impl Outcome {
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }

    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Accepted(verdict) => verdict,
            Self::Refused(refusal, _) => refusal.reason(),
            Self::Misconfigured(_) => "misconfigured",
        }
    }
}

/// What verifiers and their host keep from one request to the next.
#[derive(Default)]
pub(crate) struct Judge {
    /// The memory that is shared, and how often each value was written.
    pub(crate) memory: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    /// What stands in every bucket of seen `jti` that nobody wrote.
    pub(crate) unwritten: Vec<u8>,
    /// How many of the next writes to shared memory come too late.
    pub(crate) lost_swaps: Cell<usize>,
    /// What each configured verifier knows, by its configuration.
    states: HashMap<Vec<u8>, State>,
    /// What is kept for the request that was judged last.
    carried: Cell<Option<u64>>,
    /// How many signatures were verified.
    pub(crate) signatures: Cell<usize>,
    /// Where millions of signatures are verified: the one there is, by a key's DER and message.
    pub(crate) sign: Option<Sign>,
}

impl Judge {
    pub(crate) fn judge(&mut self, situation: &Situation) -> Outcome {
        match Config::parse(&situation.config) {
            Ok(config) => self.judge_under(situation, &config).0,
            Err(mistakes) => Outcome::Misconfigured(mistaken_keys(&mistakes.to_string())),
        }
    }

    /// Judges under a configuration that is that of the situation; also what the cache had to say.
    pub(crate) fn judge_under(
        &mut self,
        situation: &Situation,
        config: &Config,
    ) -> (Outcome, CacheEvent) {
        let mut state = self.take_state(situation, config);
        if !situation.is_redirected {
            self.carried.set(None);
        }
        let signatures = Counting(&self.signatures, self.sign);
        let request = request(situation, config);
        let host = InMemory {
            judge: self,
            situation,
        };
        let decision = decide(&request, config, &mut state, &host, &signatures);
        let told = (outcome(&decision, config), decision.cache);
        self.states.insert(situation.config.clone(), state);
        told
    }

    /// The connection of a situation ends.
    pub(crate) fn close(&mut self, situation: &Situation, config: &Config) {
        let mut state = self.take_state(situation, config);
        let host = InMemory {
            judge: self,
            situation,
        };
        purge(config, &mut state, &host);
        self.states.insert(situation.config.clone(), state);
    }

    /// Forgets what a virtual machine that is started anew has forgotten.
    pub(crate) fn restart(&mut self) {
        self.states.clear();
    }

    fn take_state(&mut self, situation: &Situation, config: &Config) -> State {
        let new = || State::new(config.cache, generation(&situation.config));
        self.states.remove(&situation.config).unwrap_or_else(new)
    }
}

fn request<'a>(situation: &'a Situation, config: &Config) -> Request<'a> {
    let lines = situation.headers.iter();
    let elsewhere =
        |(name, value): &(String, Vec<u8>)| config.tokens_elsewhere.is_in_header(name, value);
    Request {
        authorization: situation.authorization.iter().map(Vec::as_slice).collect(),
        proof: situation.proof.iter().map(Vec::as_slice).collect(),
        line: RequestLine {
            method: &situation.method,
            target: RequestTarget {
                authority: &situation.authority,
                path: &situation.path,
            },
        },
        has_token_elsewhere: lines.into_iter().any(elsewhere),
    }
}

fn outcome(decision: &Decision<'_>, config: &Config) -> Outcome {
    match &decision.outcome {
        Ok(admitted) => Outcome::Accepted(admitted.verdict().name()),
        Err(refusal) => Outcome::Refused(*refusal, Challenge::new(*refusal, &config.challenge)),
    }
}

struct InMemory<'a> {
    judge: &'a Judge,
    situation: &'a Situation,
}

impl Host for InMemory<'_> {
    fn now(&self) -> Result<u64, HostFault> {
        let nanos = self.situation.now.checked_mul(1_000_000_000);
        Ok(nanos.unwrap_or(u64::MAX))
    }

    fn exporter(&self) -> Option<Vec<u8>> {
        Some(self.situation.exporter.clone()).filter(|value| !value.is_empty())
    }

    fn certificate(&self) -> Option<Vec<u8>> {
        Some(self.situation.certificate.clone()).filter(|value| !value.is_empty())
    }

    fn claims(&self, member: Option<&str>) -> Property {
        let claims = self.situation.claims.as_ref();
        let claims = match member {
            None => claims,
            Some(member) => claims.and_then(|claims| claims.get(member)),
        };
        claims.map_or(Property::Absent, host_map::write)
    }

    fn connection_id(&self) -> Result<u64, HostFault> {
        Ok(self.situation.connection_id)
    }

    fn shares_bindings(&self) -> bool {
        true
    }

    fn shared(&self, key: &str) -> (Vec<u8>, Option<u32>) {
        match self.judge.memory.borrow().get(key) {
            Some((value, writes)) => (value.clone(), Some(*writes)),
            None if key.starts_with(REPLAY) => (self.judge.unwritten.clone(), None),
            None => (Vec::new(), None),
        }
    }

    fn swap_shared(&self, key: &str, value: &[u8], cas: Option<u32>) -> bool {
        let lost = self.judge.lost_swaps.get();
        self.judge.lost_swaps.set(lost.saturating_sub(1));
        let mut memory = self.judge.memory.borrow_mut();
        let writes = memory.get(key).map(|(_, writes)| *writes);
        let is_current = lost == 0 && writes == cas;
        if is_current {
            let next = writes.unwrap_or_default() + 1;
            memory.insert(key.to_owned(), (value.to_vec(), next));
        }
        is_current
    }

    fn carried(&self) -> Option<u64> {
        self.judge.carried.get()
    }

    fn carry(&self, number: u64) {
        self.judge.carried.set(Some(number));
    }
}

/// A number that differs for different configurations, which the tests' few do.
fn generation(config: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    config.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The keys in `exporter.encoding: what is wrong; next: ..`; a mistake of the whole has the key "".
pub(crate) fn mistaken_keys(mistakes: &str) -> BTreeSet<String> {
    let key = |line: &str| match line.split_once(": ") {
        Some((key, _)) if !key.contains(' ') => key.to_owned(),
        _ => String::new(),
    };
    mistakes.split("; ").map(key).collect()
}

struct Counting<'a>(&'a Cell<usize>, Option<Sign>);

type Sign = fn(&[u8], &[u8]) -> [u8; 64];

impl SignatureVerifier for Counting<'_> {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        self.0.set(self.0.get() + 1);
        match self.1 {
            Some(sign) => sign(key.spki_der(), message) == signature,
            None => RustCrypto.verify(algorithm, key, message, signature),
        }
    }
}
