//! A filter that answers questions about signatures with the verifying filter's own code: the same files,
//! compiled once more. A request's body is questions, the answer's body a letter for each.
#![cfg(target_arch = "wasm32")]
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    reason = "parts of the filter without the rest of it"
)]
#![forbid(unsafe_code)]

#[path = "../../../src/algorithm.rs"]
mod algorithm;
#[path = "../../../src/limits.rs"]
mod limits;
#[path = "../../../src/public_key.rs"]
mod public_key;
#[path = "../../../src/signature.rs"]
mod signature;

/// The filter's way to the host.
#[path = "."]
mod filter {
    #[path = "../../../src/filter/known_answers.rs"]
    mod known_answers;
    #[path = "../../../src/filter/protobuf.rs"]
    mod protobuf;
    #[path = "../../../src/filter/signatures.rs"]
    pub(crate) mod signatures;

    /// The one host call that it takes, and whether the host answered the last one.
    pub(crate) mod host {
        use std::cell::Cell;

        use proxy_wasm::hostcalls;
        use proxy_wasm::types::Status;

        thread_local! {
            pub(crate) static ANSWERED: Cell<bool> = const { Cell::new(false) };
        }

        pub(crate) fn call_foreign_function(
            name: &str,
            argument: &[u8],
        ) -> Result<Vec<u8>, Status> {
            let answer = hostcalls::call_foreign_function(name, Some(argument));
            ANSWERED.set(answer.is_ok());
            answer.map(Option::unwrap_or_default)
        }
    }

    pub(crate) fn probe() -> impl crate::signature::SignatureVerifier + std::fmt::Display {
        signatures::Signatures::probe()
    }
}

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel};

use algorithm::Algorithm;
use filter::host::ANSWERED;
use public_key::PublicKey;
use signature::{RustCrypto, SignatureVerifier};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Judge))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn on_configure(&mut self, _: usize) -> bool {
        hostcalls::log(LogLevel::Info, &filter::probe().to_string()).is_ok()
    }
}

struct Judge;

impl Context for Judge {}

impl HttpContext for Judge {
    fn on_http_request_body(&mut self, size: usize, is_end: bool) -> Action {
        if is_end {
            let body = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size);
            let answers = answers(&body.ok().flatten().unwrap_or_default());
            let _ = hostcalls::send_http_response(200, Vec::new(), Some(&answers));
        }
        Action::Pause
    }
}

/// A letter for each question up to the first that cannot be read.
fn answers(mut body: &[u8]) -> Vec<u8> {
    let by_filter = filter::probe();
    std::iter::from_fn(|| Question::read(&mut body))
        .map(|question| b'a' + question.answer(&by_filter))
        .collect()
}

/// The number of an algorithm in the order of its declaration; key, message and signature, each behind
/// its length in four bytes, the lowest first.
struct Question<'a> {
    algorithm: Algorithm,
    spki: &'a [u8],
    message: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Question<'a> {
    fn read(body: &mut &'a [u8]) -> Option<Self> {
        let (&number, rest) = body.split_first()?;
        *body = rest;
        let algorithm = *Algorithm::ALL.get(usize::from(number))?;
        let mut field = || {
            let (length, rest) = body.split_first_chunk()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (field, rest) = rest.split_at_checked(length)?;
            *body = rest;
            Some(field)
        };
        Some(Self {
            algorithm,
            spki: field()?,
            message: field()?,
            signature: field()?,
        })
    }

    /// Bits: 1 the key is accepted and fits; 2 the signature is good by this machine; 4 it is good as the
    /// filter verifies; 8 the host had a say in that.
    fn answer(&self, by_filter: &impl SignatureVerifier) -> u8 {
        let Ok(key) = PublicKey::from_spki_der(self.spki) else {
            return 0;
        };
        if key.kind() != self.algorithm.key_kind() {
            return 0;
        }
        let judge = |verifier: &dyn Fn() -> bool| u8::from(verifier());
        let here = judge(&|| RustCrypto.verify(self.algorithm, &key, self.message, self.signature));
        ANSWERED.set(false);
        let filter =
            judge(&|| by_filter.verify(self.algorithm, &key, self.message, self.signature));
        1 | here << 1 | filter << 2 | u8::from(ANSWERED.get()) << 3
    }
}
