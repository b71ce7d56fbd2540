//! Proofs that are good for one request only.

use rustls::crypto::aws_lc_rs;
use tls_session_binding::base64url;
use tls_session_binding_client::AccessTokenHash;
use tls_session_binding_client::proof::{Proof, ProofBuilder};
use tls_session_binding_client::signer::SigningError;

use super::exchange::{Exchange, only};
use crate::config::prover::Claims;
use crate::metrics::{Counter, count};
use crate::upstream::{Unprovable, Upstream};

/// Bytes of a `jti`: more than can be guessed or collide.
const ID_BYTES: usize = 16;

/// A proof with the claims that a route asks for.
pub(super) fn proof(
    exchange: &dyn Exchange,
    connection: &Upstream,
    token: &AccessTokenHash,
    claims: Claims,
    now: u64,
) -> Result<Proof, Unprovable> {
    let id = unique_id()?;
    let limit = |mut proof: ProofBuilder| {
        if claims.htm {
            proof = proof.method(&text(only(exchange, ":method")));
        }
        if claims.htu {
            proof = proof.target_uri(&target(exchange));
        }
        if claims.jti { proof.id(&id) } else { proof }
    };
    let proof = connection.proof_of_request(token, now, limit)?;
    count(Counter::ProofsMade);
    Ok(proof)
}

/// The target without query, as the other side sees it: its scheme is that of the TLS connection.
fn target(exchange: &dyn Exchange) -> String {
    let path = text(only(exchange, ":path"));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    format!("https://{}{path}", text(only(exchange, ":authority")))
}

fn unique_id() -> Result<String, SigningError> {
    let mut bytes = [0; ID_BYTES];
    aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| SigningError)?;
    Ok(base64url::encode(&bytes))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}
