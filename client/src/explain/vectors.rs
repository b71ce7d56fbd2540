//! Published vectors, in the form of `tests/vectors/README.md`.

use serde::Deserialize;
use serde_json::Value;

use super::{Asked, Explanation, explain};

/// A file of vectors.
#[derive(Deserialize)]
pub struct Vectors {
    /// The cases.
    pub cases: Vec<Case>,
}

/// A request, and how it must end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is about.
    pub id: String,
    /// The requirement that decides.
    #[serde(default)]
    pub rule: String,
    now: u64,
    #[serde(default = "all_defaults")]
    config: Value,
    connection: Connection,
    request: Request,
    /// How it must end.
    pub expected: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Connection {
    exporter: String,
    client_certificate: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    authority: String,
    path: String,
    authorization: Vec<String>,
    session_binding_proof: Vec<String>,
    #[serde(default)]
    claims: Option<Value>,
}

/// How a request must end. What another implementer leaves out is not compared.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Expected {
    /// It goes on.
    Accepted {
        /// How it is bound.
        verdict: String,
    },
    /// It does not.
    Refused {
        /// HTTP status.
        status: u32,
        /// `error` of the challenge.
        error: Option<String>,
        /// This verifier's name of the rule.
        #[serde(default)]
        reason: Option<String>,
    },
}

fn all_defaults() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Case {
    /// The request.
    #[must_use]
    pub fn asked(&self) -> Asked {
        let bytes = |text: &String| text.clone().into_bytes();
        let many = |texts: &[String]| texts.iter().map(bytes).collect();
        Asked {
            config: self.config.to_string().into(),
            exporter: bytes(&self.connection.exporter),
            certificate: bytes(&self.connection.client_certificate),
            claims: self.request.claims.clone(),
            now: self.now,
            method: bytes(&self.request.method),
            authority: bytes(&self.request.authority),
            path: bytes(&self.request.path),
            authorization: many(&self.request.authorization),
            proof: many(&self.request.session_binding_proof),
        }
    }

    /// Judges it, and says how it ended if that is not as expected.
    ///
    /// # Errors
    /// How it ended instead.
    pub fn judge(&self) -> Result<(), String> {
        let told = explain(&self.asked()).map_err(|mistakes| mistakes.to_string())?;
        if self.expected.is(&told) {
            Ok(())
        } else {
            Err(format!("expected {:?}, {}", self.expected, told.ending()))
        }
    }
}

impl Expected {
    fn is(&self, told: &Explanation) -> bool {
        match self {
            Self::Accepted { verdict } => told.verdict == Some(verdict),
            Self::Refused {
                status,
                error,
                reason,
            } => told.answer.as_ref().is_some_and(|answer| {
                answer.status == *status
                    && answer.error == *error
                    && (reason.is_none() || told.reason == reason.as_deref())
            }),
        }
    }
}

impl Explanation {
    /// How it ended, in a few words.
    #[must_use]
    pub fn ending(&self) -> String {
        match (self.verdict, self.reason) {
            (Some(verdict), _) => format!("accepted: {verdict}"),
            (None, Some(reason)) if self.observed => {
                format!("refused: {reason} (observed, goes on)")
            }
            (None, reason) => format!("refused: {}", reason.unwrap_or_default()),
        }
    }
}
