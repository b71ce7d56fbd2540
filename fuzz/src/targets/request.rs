//! Whole requests, from their header values to the decision.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::Value;

use crate::judge::{Judge, Outcome, Situation};
use crate::seeds;

/// The keys of the vectors are not known to the fuzzer: whatever passes as session-bound carries what one
/// of them has signed. What was remembered changes no decision.
pub fn run(input: &[u8]) {
    let situation = situation(input);
    let mut judge = Judge::default();
    let first = judge.judge(&situation);
    let second = judge.judge(&situation);
    if situation.carries("jti") {
        assert!(
            !first.is_session_bound() || !second.is_session_bound(),
            "a proof was used twice"
        );
    } else {
        assert_eq!(first, second, "what was remembered changed the decision");
    }
    if !first.is_session_bound() {
        return;
    }
    let [proof] = &situation.proof[..] else {
        panic!("{} proofs", situation.proof.len());
    };
    assert!(
        SIGNED.contains(signing_input(proof)),
        "a forged proof passed"
    );
    judge.restart();
    let elsewhere = Situation {
        exporter: ANOTHER.to_vec(),
        connection_id: 8,
        ..situation
    };
    assert!(
        !judge.judge(&elsewhere).is_session_bound(),
        "it passed on another connection"
    );
}

/// Everything that the vectors' keys have signed.
static SIGNED: LazyLock<HashSet<Vec<u8>>> = LazyLock::new(|| {
    let seeds = seeds::of("proof");
    seeds
        .iter()
        .map(|proof| signing_input(proof).to_vec())
        .collect()
});

const ANOTHER: &[u8] = b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn signing_input(proof: &[u8]) -> &[u8] {
    let end = proof.iter().rposition(|&byte| byte == b'.').unwrap_or(0);
    &proof[..end]
}

trait SessionBound {
    fn is_session_bound(&self) -> bool;
}

impl SessionBound for Outcome {
    fn is_session_bound(&self) -> bool {
        *self == Self::Accepted("session_bound")
    }
}

impl Situation {
    /// Whether a proof has this claim, or anything that could be it.
    fn carries(&self, claim: &str) -> bool {
        let payload = |proof: &Vec<u8>| {
            let part = proof
                .split(|&byte| byte == b'.')
                .nth(1)
                .unwrap_or_default()
                .to_vec();
            tls_session_binding::base64url::decode(&part).unwrap_or_default()
        };
        let has = |payload: Vec<u8>| {
            serde_json::from_slice::<Value>(&payload)
                .is_ok_and(|claims| claims.get(claim).is_some())
        };
        self.proof.iter().map(payload).any(has)
    }
}

/// A line for each value, its kind in the first byte, as [`seeds`] writes them.
pub(crate) fn situation(input: &[u8]) -> Situation {
    let mut situation = Situation {
        config: b"{}".to_vec(),
        exporter: Vec::new(),
        certificate: Vec::new(),
        now: 0,
        method: Vec::new(),
        authority: Vec::new(),
        path: Vec::new(),
        authorization: Vec::new(),
        proof: Vec::new(),
        headers: Vec::new(),
        claims: None,
        connection_id: 7,
        is_redirected: false,
    };
    for line in input.split(|&byte| byte == b'\n') {
        let Some((kind, value)) = line.split_first() else {
            continue;
        };
        let value = value.to_vec();
        match kind {
            b'G' => situation.config = value,
            b'N' => situation.now = String::from_utf8_lossy(&value).parse().unwrap_or(0),
            b'E' => situation.exporter = value,
            b'C' => situation.certificate = value,
            b'M' => situation.method = value,
            b'H' => situation.authority = value,
            b'T' => situation.path = value,
            b'A' => situation.authorization.push(value),
            b'P' => situation.proof.push(value),
            b'K' => situation.claims = serde_json::from_slice(&value).ok(),
            b'X' => situation.headers.push(("x-token".to_owned(), value)),
            _ => {}
        }
    }
    situation
}
