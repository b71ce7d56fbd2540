//! Wycheproof's vectors, through this project's own entry points. What differs from Wycheproof's label
//! stands in `wycheproof-exceptions.json` with a reason, and nothing else does.

mod jws;
mod keys;
mod signatures;

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use tls_session_binding::algorithm::Algorithm;
use tls_session_binding::public_key::PublicKey;
use tls_session_binding::signature::{RustCrypto, SignatureVerifier as _};

use crate::common::files;
use crate::common::foreign::Sets;

/// Tests of a set that end otherwise than Wycheproof says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    set: String,
    tests: Tests,
    #[serde(rename = "reason")]
    _reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Tests {
    /// Every valid test of the set is refused.
    AllValid,
    /// The tests with these numbers.
    Only(BTreeSet<u64>),
}

impl Tests {
    fn contain(&self, test: &Value) -> bool {
        match self {
            Self::AllValid => test["result"] == "valid",
            Self::Only(numbers) => numbers.contains(&test["tcId"].as_u64().unwrap()),
        }
    }
}

/// Runs sets of tests and notes which exceptions were needed.
struct Runner {
    exceptions: Vec<Exception>,
    needed: RefCell<BTreeSet<usize>>,
    failures: RefCell<Vec<String>>,
}

impl Runner {
    fn new(sets: Sets) -> Self {
        let mut exceptions: Vec<Exception> = files::read_json("wycheproof-exceptions.json");
        exceptions.retain(|exception| sets.iter().any(|(name, _)| *name == exception.set));
        Self {
            exceptions,
            needed: RefCell::default(),
            failures: RefCell::default(),
        }
    }

    /// Judges every test of a set: `accepts` gets its group and the test.
    fn run(&self, name: &str, text: &str, accepts: impl Fn(&Value, &Value) -> bool) {
        let set: Value = serde_json::from_str(text).unwrap();
        let mut count = 0;
        for group in set["testGroups"].as_array().unwrap() {
            for test in group["tests"].as_array().unwrap() {
                self.compare(name, test, accepts(group, test));
                count += 1;
            }
        }
        println!("{name}: {count} tests");
        assert!(count > 0, "{name}");
    }

    fn compare(&self, set: &str, test: &Value, accepted: bool) {
        let excepted =
            |exception: &Exception| exception.set == set && exception.tests.contain(test);
        let exception = self.exceptions.iter().position(excepted);
        let agrees = accepted == (test["result"] == "valid");
        match (agrees, exception) {
            (true, None) => {}
            (false, Some(exception)) => drop(self.needed.borrow_mut().insert(exception)),
            _ => self.failures.borrow_mut().push(format!(
                "{set} {}: {}, {} {}: {}{}",
                test["tcId"],
                test["comment"],
                test["result"],
                test["flags"],
                if accepted { "accepted" } else { "refused" },
                exception.map_or("", |_| ", but there is an exception"),
            )),
        }
    }

    fn finish(self) {
        let failures = self.failures.into_inner();
        assert!(
            failures.is_empty(),
            "{} tests:\n{}",
            failures.len(),
            failures.join("\n")
        );
        let needed = self.needed.into_inner();
        for (index, exception) in self.exceptions.iter().enumerate() {
            assert!(
                needed.contains(&index),
                "an exception for {} is not needed",
                exception.set
            );
        }
    }
}

fn verifies(algorithm: Algorithm, spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    PublicKey::from_spki_der(spki).is_ok_and(|key| {
        key.kind() == algorithm.key_kind() && RustCrypto.verify(algorithm, &key, message, signature)
    })
}
