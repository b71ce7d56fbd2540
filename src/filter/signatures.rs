//! Signature verification by the host's library where it proves itself, otherwise in this VM. The
//! host's is an order of magnitude faster.

use std::fmt;

use crate::algorithm::{Algorithm, AlgorithmSet};
use crate::public_key::PublicKey;
use crate::signature::{RustCrypto, SignatureVerifier};

use super::host;
use super::known_answers::{self, KnownAnswer};
use super::protobuf;

/// Envoy's foreign function.
const VERIFY_SIGNATURE: &str = "verify_signature";

/// Result of [`VERIFY_SIGNATURE`] for a good signature: protobuf field 1, a bool, true.
const GOOD: [u8; 2] = [0x08, 0x01];

/// Verifies by the host what the host has shown to verify rightly, everything else by [`RustCrypto`].
pub(super) struct Signatures {
    by_host: AlgorithmSet,
}

impl Signatures {
    /// Asks the host to verify one good and one bad signature per algorithm.
    pub(super) fn probe() -> Self {
        let proven: Vec<Algorithm> = known_answers::ALL
            .iter()
            .filter(|answer| host_knows(answer))
            .map(|answer| answer.algorithm)
            .collect();
        Self {
            by_host: AlgorithmSet::of(&proven),
        }
    }
}

impl Signatures {
    /// Whether the host verifies what it can.
    pub(super) fn are_by_host(&self) -> bool {
        known_answers::ALL
            .iter()
            .all(|answer| self.by_host.contains(answer.algorithm))
    }
}

impl SignatureVerifier for Signatures {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let by_host = self.by_host.contains(algorithm).then(|| {
            let signature = host_form(algorithm, signature)?;
            verify_by_host(algorithm, key.spki_der(), message, &signature)
        });
        match by_host {
            Some(Some(verdict)) => verdict,
            // The host takes no such key or signature, which proves nothing about the signature.
            _ => RustCrypto.verify(algorithm, key, message, signature),
        }
    }
}

impl fmt::Display for Signatures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, wasm): (Vec<_>, Vec<_>) = Algorithm::ALL
            .into_iter()
            .partition(|algorithm| self.by_host.contains(*algorithm));
        let names = |algorithms: Vec<Algorithm>| {
            let names: Vec<_> = algorithms.into_iter().map(Algorithm::name).collect();
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(" ")
            }
        };
        write!(
            formatter,
            "signatures by the host: {}; in Wasm: {}",
            names(host),
            names(wasm)
        )
    }
}

fn host_knows(answer: &KnownAnswer) -> bool {
    let Some((key, signature, bad_signature)) = answer.decode() else {
        return false;
    };
    let verify = |signature: &[u8]| {
        verify_by_host(answer.algorithm, &key, known_answers::MESSAGE, signature)
    };
    verify(&signature) == Some(true) && verify(&bad_signature) == Some(false)
}

/// The host's verdict; `None` if it has none.
fn verify_by_host(
    algorithm: Algorithm,
    spki: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let mut argument = Vec::with_capacity(spki.len() + message.len() + signature.len() + 32);
    let fields = [host_hash(algorithm)?.as_bytes(), spki, signature, message];
    for (number, field) in (1..).zip(fields) {
        protobuf::push_bytes(&mut argument, number, field);
    }
    let result = host::call_foreign_function(VERIFY_SIGNATURE, &argument).ok()?;
    Some(result.starts_with(&GOOD))
}

/// Name of the hash for algorithms that the host's function can verify: it has neither PSS nor Ed25519.
const fn host_hash(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::Es256 | Algorithm::Rs256 => Some("sha256"),
        Algorithm::Es384 | Algorithm::Rs384 => Some("sha384"),
        Algorithm::Rs512 => Some("sha512"),
        Algorithm::EdDsa | Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => None,
    }
}

/// The host wants ECDSA signatures in DER; `None` for one that no key could have made.
fn host_form(algorithm: Algorithm, signature: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::Es256 => {
            let signature = p256::ecdsa::Signature::from_slice(signature).ok()?;
            Some(signature.to_der().as_bytes().to_vec())
        }
        Algorithm::Es384 => {
            let signature = p384::ecdsa::Signature::from_slice(signature).ok()?;
            Some(signature.to_der().as_bytes().to_vec())
        }
        _ => Some(signature.to_vec()),
    }
}
