//! A verifier around the core, as the filter is one: it gathers, lets the core decide, and remembers.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use tls_session_binding::algorithm::Algorithm;
use tls_session_binding::authorization::refuse_token_in_query;
use tls_session_binding::cache::{BindingCache, Presentation, SharedBindings, SharedEntry};
use tls_session_binding::certificate::ClientCertificate;
use tls_session_binding::challenge::Challenge;
use tls_session_binding::config::Config;
use tls_session_binding::error::Refusal;
use tls_session_binding::exporter::ExporterValue;
use tls_session_binding::policy::{Admitted, RequestHeaders, Step, Verdict};
use tls_session_binding::public_key::PublicKey;
use tls_session_binding::replay::Slot;
use tls_session_binding::signature::{RustCrypto, SignatureVerifier};
use tls_session_binding::target_uri::RequestTarget;
use tls_session_binding::verify::{Connection, RequestLine, VerifiedBinding};

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
    /// The host's number of the connection.
    pub(crate) connection_id: u64,
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

/// What a verifier keeps from one request to the next.
#[derive(Default)]
pub(crate) struct Judge {
    /// The buckets of seen `jti` that were written.
    replay: HashMap<u64, Vec<u8>>,
    /// What stands in every other bucket.
    pub(crate) unwritten: Vec<u8>,
    /// What was verified, by configuration: each plugin has a cache of its own.
    local: HashMap<Vec<u8>, BindingCache>,
    /// What was verified, in the memory that plugins share.
    pub(crate) shared: HashMap<u64, Vec<u8>>,
    /// How many signatures were verified.
    pub(crate) signatures: Cell<usize>,
}

impl Judge {
    pub(crate) fn judge(&mut self, situation: &Situation) -> Outcome {
        let config = match Config::parse(&situation.config) {
            Ok(config) => config,
            Err(mistakes) => return Outcome::Misconfigured(mistaken_keys(&mistakes.to_string())),
        };
        let decided = match self.find_known(situation, &config) {
            Some(verdict) => Ok(verdict),
            None => self.verify(situation, &config),
        };
        match decided {
            Ok(verdict) => Outcome::Accepted(verdict.name()),
            Err(refusal) => Outcome::Refused(refusal, Challenge::new(refusal, &config.challenge)),
        }
    }

    /// Forgets what a virtual machine that is started anew has forgotten.
    pub(crate) fn restart(&mut self) {
        self.local.clear();
    }

    fn find_known(&self, situation: &Situation, config: &Config) -> Option<Verdict> {
        let ([authorization], [proof]) = (&situation.authorization[..], &situation.proof[..])
        else {
            return None;
        };
        refuse_token_in_query(&situation.path).ok()?;
        let exporter = ExporterValue::parse(&situation.exporter, config.exporter.encoding).ok()?;
        let presented = Presentation {
            rule: config.policy.select(&line(situation)).ok()?.number,
            exporter: &exporter,
            authorization,
            proof,
        };
        let known = self
            .local
            .get(&situation.config)?
            .find(&presented, situation.now)?;
        Some(Admitted::Known(known).verdict())
    }

    fn verify(&mut self, situation: &Situation, config: &Config) -> Result<Verdict, Refusal> {
        let now = situation.now;
        let (authorization, proof) = (slices(&situation.authorization), slices(&situation.proof));
        let headers = RequestHeaders {
            authorization: &authorization,
            proof: &proof,
            line: line(situation),
        };
        let rule = config.policy.select(&headers.line)?;
        let presented = match rule.present(&headers)? {
            Step::Done(admitted) => return Ok(admitted.verdict()),
            Step::Next(presented) => presented,
        };
        let claims = presented.token.claims()?;
        let bound = match presented.confirm(&claims, rule, now)? {
            Step::Done(admitted) => return Ok(admitted.verdict()),
            Step::Next(bound) => bound,
        };
        let connection = connection(situation, config)?;
        let proved = match bound.authenticate(&connection, now)? {
            Step::Done(admitted) => return Ok(admitted.verdict()),
            Step::Next(proved) => proved,
        };
        let shared = SharedBindings::new(
            config.cache,
            generation(&situation.config),
            situation.connection_id,
        );
        let presented = proved.presentation(rule, &connection.exporter);
        let entry = shared.as_ref().zip(presented).map(|(shared, presented)| {
            let value = self.shared.entry(shared.slot()).or_default();
            shared.look_up(value.clone(), presented)
        });
        let find = |entry: &SharedEntry<'_>| entry.find(&connection.certificate, now);
        if let Some(known) = entry.as_ref().and_then(find) {
            return Ok(Admitted::Known(known).verdict());
        }
        let binding = proved.verify(&connection, rule, now, &Counting(&self.signatures))?;
        self.remember_jti(&binding, situation, &connection.exporter)?;
        let local = self.local.entry(situation.config.clone());
        local
            .or_insert_with(|| BindingCache::new(config.cache))
            .insert(&binding, now);
        let next = entry.and_then(|entry| entry.insert(&binding, now));
        if let (Some(shared), Some(next)) = (shared, next) {
            self.shared.insert(shared.slot(), next);
        }
        Ok(Admitted::SessionBound(binding).verdict())
    }

    fn remember_jti(
        &mut self,
        binding: &VerifiedBinding<'_>,
        situation: &Situation,
        exporter: &ExporterValue,
    ) -> Result<(), Refusal> {
        let Some(jti) = binding.jti() else {
            return Ok(());
        };
        let slot = Slot::new(situation.connection_id, exporter, jti);
        let bucket = self.replay.get(&slot.bucket()).unwrap_or(&self.unwritten);
        let bucket = slot.remember(bucket, binding.acceptable_until(), situation.now)?;
        self.replay.insert(slot.bucket(), bucket);
        Ok(())
    }
}

fn line(situation: &Situation) -> RequestLine<'_> {
    RequestLine {
        method: &situation.method,
        target: RequestTarget {
            authority: &situation.authority,
            path: &situation.path,
        },
    }
}

fn connection(situation: &Situation, config: &Config) -> Result<Connection, Refusal> {
    let certificate = &situation.certificate;
    Ok(Connection {
        exporter: ExporterValue::parse(&situation.exporter, config.exporter.encoding)?,
        certificate: ClientCertificate::parse(certificate, config.client_certificate.encoding)?,
    })
}

/// A number that differs for different configurations, which the tests' few do.
fn generation(config: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    config.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn slices(values: &[Vec<u8>]) -> Vec<&[u8]> {
    values.iter().map(Vec::as_slice).collect()
}

/// The keys in `exporter.encoding: what is wrong; next: ..`; a mistake of the whole has the key "".
pub(crate) fn mistaken_keys(mistakes: &str) -> BTreeSet<String> {
    let key = |line: &str| match line.split_once(": ") {
        Some((key, _)) if !key.contains(' ') => key.to_owned(),
        _ => String::new(),
    };
    mistakes.split("; ").map(key).collect()
}

struct Counting<'a>(&'a Cell<usize>);

impl SignatureVerifier for Counting<'_> {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        self.0.set(self.0.get() + 1);
        RustCrypto.verify(algorithm, key, message, signature)
    }
}
