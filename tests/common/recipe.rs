//! Recipes: how a request differs from a genuine one. `tests/vectors/README.md` explains each key.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::files;
use super::judge::Outcome;

/// What is wanted of a request.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Expect {
    /// It goes on, with this verdict.
    Accept(String),
    /// It is refused for this reason.
    Refuse(String),
    /// The configuration is refused, with a mistake for each of these keys.
    Misconfigured(BTreeSet<String>),
}

impl Expect {
    pub(crate) fn is_met_by(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Accept(verdict), Outcome::Accepted(actual)) => verdict == actual,
            (Self::Refuse(reason), Outcome::Refused(refusal, _)) => reason == refusal.reason(),
            (Self::Misconfigured(keys), Outcome::Misconfigured(actual)) => keys == actual,
            _ => false,
        }
    }
}

/// A case: one request, or several that the same verifier sees in turn.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    /// The requirement that decides.
    pub(crate) rule: String,
    /// Rows of the attack catalogue that it is a case of.
    #[serde(default)]
    pub(crate) rows: Vec<String>,
    #[serde(default)]
    request: Option<Recipe>,
    #[serde(default)]
    expect: Option<Expect>,
    #[serde(default)]
    steps: Vec<Step>,
    /// What stands in the memory of seen `jti` beforehand.
    #[serde(default)]
    pub(crate) replay_memory: ReplayMemory,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReplayMemory {
    #[default]
    Empty,
    Full,
    FullOfExpired,
    Corrupt,
}

/// One request of a case, and what happens before it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    #[serde(default)]
    pub(crate) before: Option<Before>,
    #[serde(default)]
    pub(crate) request: Recipe,
    pub(crate) expect: Expect,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Before {
    /// The virtual machine is started anew and has forgotten what only it knew.
    Restart,
    /// So it is, and the values in shared memory become these bytes.
    SharedMemory(String),
    /// So it is, and the values in shared memory lose their last byte.
    SharedMemoryCut,
}

impl Case {
    /// Its requests in order.
    pub(crate) fn steps(&self) -> Vec<Step> {
        match (&self.expect, self.steps.as_slice()) {
            (Some(expect), []) => vec![Step {
                before: None,
                request: self.request.clone().unwrap_or_default(),
                expect: expect.clone(),
            }],
            (None, [_, ..]) if self.request.is_none() => self.steps.clone(),
            _ => panic!("{}: either request and expect, or steps", self.id),
        }
    }
}

/// The cases of every file of a folder.
pub(crate) fn cases(folder: &str) -> Vec<Case> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(rename = "about")]
        _about: String,
        cases: Vec<Case>,
    }
    let files = files::list(folder);
    files
        .iter()
        .flat_map(|name| files::read_json::<File>(name).cases)
        .collect()
}

/// How a request differs from a genuine one; strings are templates.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Recipe {
    pub(crate) client: Option<String>,
    pub(crate) client_spki: Option<String>,
    pub(crate) exporter: Option<String>,
    pub(crate) certificate: Option<String>,
    pub(crate) config: Option<Value>,
    pub(crate) config_text: Option<String>,
    pub(crate) now: Option<u64>,
    pub(crate) connection_id: Option<u64>,
    pub(crate) method: Option<String>,
    pub(crate) authority: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) authorization: Option<Vec<String>>,
    pub(crate) session_binding_proof: Option<Vec<String>>,
    /// Other header lines.
    pub(crate) headers: BTreeMap<String, String>,
    /// What another filter verified of the token, as JSON text.
    pub(crate) claims: Option<String>,
    /// Whether the host redirects the request before and runs the filter again.
    pub(crate) is_redirected: bool,
    pub(crate) token: Jws,
    pub(crate) proof: Jws,
}

/// How a token or a proof differs from a genuine one.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Jws {
    /// `alg`, in the header and to sign with.
    pub(crate) alg: Option<String>,
    /// What to sign with instead.
    pub(crate) sign: Option<String>,
    /// Whose key to sign with instead.
    pub(crate) key: Option<String>,
    /// The secret, where to sign with HS256.
    pub(crate) secret: Option<String>,
    /// Members put in as JSON text, or removed by `null`.
    pub(crate) header: BTreeMap<String, Option<String>>,
    pub(crate) claims: BTreeMap<String, Option<String>>,
    /// The whole JSON text instead.
    pub(crate) header_text: Option<String>,
    pub(crate) claims_text: Option<String>,
    /// What is signed instead of `${header}.${payload}`.
    pub(crate) signing_input: Option<String>,
    /// The signature's bytes, instead of `${signature|raw}`.
    pub(crate) signature: Option<String>,
    /// The whole, instead of `${header}.${payload}.${signature}`.
    pub(crate) compact: Option<String>,
}
