//! The tests whose subject is the verifier, once more, with the native module in place of the Proxy-Wasm filter.
#![forbid(unsafe_code)]

use tls_session_binding_e2e::stack::Verifier;

#[path = "../e2e/attacks.rs"]
mod attacks;
#[path = "../e2e/binding.rs"]
mod binding;
#[path = "../e2e/brief.rs"]
mod brief;
#[path = "../e2e/cache.rs"]
mod cache;
#[path = "../e2e/counts.rs"]
mod counts;
#[path = "../e2e/credentials.rs"]
mod credentials;
#[path = "../e2e/elsewhere.rs"]
mod elsewhere;
#[path = "../e2e/headers.rs"]
mod headers;
#[path = "../e2e/moved.rs"]
mod moved;
#[path = "../e2e/policy.rs"]
mod policy;
#[path = "../e2e/records.rs"]
mod records;
#[path = "../e2e/reload.rs"]
mod reload;
#[path = "../e2e/threats.rs"]
mod threats;
#[path = "../e2e/tokens.rs"]
mod tokens;
#[path = "../e2e/vocabulary.rs"]
mod vocabulary;

const VERIFIER: Verifier = Verifier::Native;
