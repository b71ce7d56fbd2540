//! `tests/vectors/proofs.json`: the rules' vectors with every byte written out, for other
//! implementations to run. `UPDATE_VECTORS=1` writes it anew.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::common::files;
use crate::common::judge::{Judge, Outcome, Situation};
use crate::run::{Judged, RULES};

const NAME: &str = "proofs.json";

/// Larger ones are left to the recipes.
const MAX_BYTES: usize = 4096;

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Published {
    about: String,
    cases: Vec<Vector>,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Vector {
    id: String,
    rule: String,
    now: u64,
    config: Value,
    connection: Connection,
    request: Request,
    expected: Expected,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Connection {
    exporter: String,
    client_certificate: String,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    authority: String,
    path: String,
    authorization: Vec<String>,
    session_binding_proof: Vec<String>,
    /// What another filter verified of the token, where the configuration reads it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claims: Option<Value>,
}

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(untagged, deny_unknown_fields)]
enum Expected {
    Accepted {
        verdict: String,
    },
    Refused {
        status: u32,
        error: Option<String>,
        reason: String,
    },
}

impl Vector {
    /// The vector of a case, unless its bytes are too many, not text, or depend on earlier requests.
    fn of(case: &Judged) -> Option<Self> {
        let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).ok();
        let texts = |values: &Vec<Vec<u8>>| values.iter().map(text).collect::<Option<Vec<_>>>();
        let asked = &case.situation;
        let vector = Self {
            id: case.id.clone(),
            rule: case.rule.clone(),
            now: asked.now,
            config: serde_json::from_slice(&asked.config).ok()?,
            connection: Connection {
                exporter: text(&asked.exporter)?,
                client_certificate: text(&asked.certificate)?,
            },
            request: Request {
                method: text(&asked.method)?,
                authority: text(&asked.authority)?,
                path: text(&asked.path)?,
                authorization: texts(&asked.authorization)?,
                session_binding_proof: texts(&asked.proof)?,
                claims: asked.claims.clone(),
            },
            expected: Expected::of(&case.outcome)?,
        };
        (case.alone && asked.headers.is_empty() && vector.request.bytes() <= MAX_BYTES)
            .then_some(vector)
    }

    fn situation(&self) -> Situation {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let many = |texts: &[String]| texts.iter().map(|text| bytes(text)).collect();
        Situation {
            config: bytes(&self.config.to_string()),
            exporter: bytes(&self.connection.exporter),
            certificate: bytes(&self.connection.client_certificate),
            now: self.now,
            method: bytes(&self.request.method),
            authority: bytes(&self.request.authority),
            path: bytes(&self.request.path),
            authorization: many(&self.request.authorization),
            proof: many(&self.request.session_binding_proof),
            headers: Vec::new(),
            claims: self.request.claims.clone(),
            connection_id: 7,
            is_redirected: false,
        }
    }
}

impl Request {
    fn bytes(&self) -> usize {
        let values = self.authorization.iter().chain(&self.session_binding_proof);
        self.path.len() + values.map(String::len).sum::<usize>()
    }
}

impl Expected {
    fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Accepted(verdict) => Some(Self::Accepted {
                verdict: (*verdict).to_owned(),
            }),
            Outcome::Refused(refusal, challenge) => {
                let challenge_text = challenge.www_authenticate.as_deref().unwrap_or_default();
                let error = challenge_text.strip_prefix("Bearer error=\"");
                let error = error
                    .and_then(|rest| rest.split('"').next())
                    .map(str::to_owned);
                let reason = refusal.reason().to_owned();
                Some(Self::Refused {
                    status: challenge.status,
                    error,
                    reason,
                })
            }
            Outcome::Misconfigured(_) => None,
        }
    }
}

#[test]
fn the_published_vectors_are_those_of_the_recipes() {
    let published = Published {
        about: "Requests in full, each to be judged by itself; README.md explains the members."
            .to_owned(),
        cases: RULES.iter().filter_map(Vector::of).collect(),
    };
    let text = serde_json::to_string_pretty(&published).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(files::path(NAME), &text).unwrap();
    }
    assert!(
        files::read(NAME) == text,
        "{NAME} is out of date: run with UPDATE_VECTORS=1"
    );
}

#[test]
fn every_published_vector_ends_as_it_says() {
    let published: Published = files::read_json(NAME);
    for vector in &published.cases {
        let outcome = Judge::default().judge(&vector.situation());
        assert_eq!(
            Expected::of(&outcome).as_ref(),
            Some(&vector.expected),
            "{}",
            vector.id
        );
    }
}

#[test]
fn every_algorithm_is_published_with_an_accepted_and_a_refused_proof() {
    let published: Published = files::read_json(NAME);
    for algorithm in tls_session_binding::algorithm::Algorithm::ALL {
        let named = |vector: &&Vector| {
            vector
                .id
                .split('-')
                .any(|word| word == algorithm.name().to_lowercase())
        };
        let of_it: Vec<&Vector> = published.cases.iter().filter(named).collect();
        let accepted = |vector: &Vector| matches!(vector.expected, Expected::Accepted { .. });
        assert!(of_it.iter().any(|vector| accepted(vector)), "{algorithm:?}");
        assert!(
            of_it.iter().any(|vector| !accepted(vector)),
            "{algorithm:?}"
        );
    }
}
