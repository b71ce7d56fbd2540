//! The HTTP filters, by name.

use std::sync::Arc;

use crate::config::Mistakes;
use crate::prover::Prover;
use crate::verify::Verify;
use crate::{rotation, upstream};

/// An HTTP filter as configured.
#[derive(Debug)]
pub enum HttpFilter {
    /// In a cluster: adds the proof.
    Prover(Prover),
    /// In the listener of a client's sidecar: tells which identity new connections would use.
    Generation,
    /// In a server's listener: verifies the binding of tokens.
    Verify(Arc<Verify>),
}

/// Envoy's side of a request on a listener.
pub trait Request {
    /// Sets filter state of the request.
    fn set_filter_state(&self, key: &str, value: &[u8]) -> bool;
    /// Answers in place of the service.
    fn answer(&self, status: u32, reason: &str);
}

impl HttpFilter {
    /// Reads the configuration.
    ///
    /// # Errors
    /// An unknown name, or all mistakes of the configuration.
    pub fn load(name: &[u8], config: &[u8]) -> Result<Self, Mistakes> {
        match name {
            b"prover" => Prover::load(config).map(Self::Prover),
            b"verify" => Verify::load(config).map(Arc::new).map(Self::Verify),
            b"generation" if matches!(config.trim_ascii(), b"" | b"{}") => Ok(Self::Generation),
            b"generation" => Err(Mistakes::one(
                "filter_config: `generation` has nothing to configure".to_owned(),
            )),
            _ => Err(Mistakes::one(
                "filter_name: the HTTP filters are `verify`, `prover` and `generation`".to_owned(),
            )),
        }
    }
}

/// The status that a gRPC client understands for a response of this module's; `None` if the request is not gRPC's.
#[must_use]
pub fn grpc_status(lines: &[(&str, &[u8])], status: u32) -> Option<&'static str> {
    let is_grpc = |(name, value): &(&str, &[u8])| {
        let rest = value.strip_prefix(b"application/grpc");
        *name == "content-type" && rest.is_some_and(|rest| matches!(rest, [] | [b'+' | b';', ..]))
    };
    lines.iter().any(is_grpc).then_some(match status {
        400 => "13",
        401 => "16",
        403 => "7",
        503 => "14",
        _ => "2",
    })
}

/// Tells the generation of the identity as filter state: whether the request goes on.
pub fn tell_generation(request: &dyn Request) -> bool {
    upstream::end_what_is_over();
    let generation = rotation::generation().to_string();
    let told = request.set_filter_state(rotation::GENERATION, generation.as_bytes());
    if !told {
        // Nobody else may say which connections are current.
        request.answer(503, "generation_not_told");
    }
    told
}
