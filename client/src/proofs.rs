//! The proofs of one connection.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tls_session_binding::digest::AccessTokenHash;
use tls_session_binding::exporter::ExporterValue;

use crate::proof::{Proof, ProofBuilder};
use crate::signer::{Signer, SigningError};

/// Tokens whose proofs one connection remembers. Our own bound: about 700 bytes each, and more
/// users than one HTTP/2 connection usually carries at once.
pub const MAX_PROOFS: usize = 1024;

/// How long a proof is used, in seconds: a minute less than verifiers accept it by default, so that one
/// that they have forgotten is not refused for its age.
pub const PROOF_LIFETIME: u64 = 240;

/// The connection-level proofs of one connection, each signed once per token and [`PROOF_LIFETIME`].
///
/// It lives as long as its connection and is dropped with it: the exporter value is fixed when it
/// is made, so no proof of another connection can come out. It holds at most [`MAX_PROOFS`]
/// proofs; beyond that the one unused for longest is forgotten, which costs one more signature.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use tls_session_binding_client::{AccessTokenHash, ExporterValue, signer::Signer};
/// # fn example(signer: Arc<Signer>, exporter: ExporterValue, token: &AccessTokenHash)
/// #     -> Result<(), Box<dyn std::error::Error>> {
/// use tls_session_binding_client::proofs::{ConnectionProofs, Origin};
///
/// let mut proofs = ConnectionProofs::new(signer, exporter);
/// let now = 1_780_000_000;
/// let (proof, origin) = proofs.proof_for(token, now)?;
/// assert_eq!(origin, Origin::Made);
/// assert_eq!(proofs.proof_for(token, now + 60)?.1, Origin::Reused);
/// proofs.forget(token, &proof); // the server answered `invalid_proof`
/// assert_eq!(proofs.proof_for(token, now + 60)?.1, Origin::Made);
/// # Ok(()) }
/// ```
pub struct ConnectionProofs {
    signer: Arc<Signer>,
    exporter: ExporterValue,
    proofs: HashMap<AccessTokenHash, Entry>,
    uses: u64,
}

struct Entry {
    proof: Proof,
    issued_at: u64,
    last_use: u64,
}

/// Where a proof came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was signed just now.
    Made,
    /// It was signed for an earlier request.
    Reused,
}

impl ConnectionProofs {
    /// The proofs of the connection with this exporter value, opened with the signer's certificate.
    #[must_use]
    pub fn new(signer: Arc<Signer>, exporter: ExporterValue) -> Self {
        Self {
            signer,
            exporter,
            proofs: HashMap::new(),
            uses: 0,
        }
    }

    /// The proof for a token: the remembered one, if it is not older than [`PROOF_LIFETIME`], or one
    /// signed with `now` (seconds since the epoch) as its time of issue.
    ///
    /// # Errors
    /// [`SigningError`] when the key refuses; nothing is remembered then.
    pub fn proof_for(
        &mut self,
        token: &AccessTokenHash,
        now: u64,
    ) -> Result<(Proof, Origin), SigningError> {
        self.proof_since(token, now, now.saturating_sub(PROOF_LIFETIME))
    }

    /// As [`ConnectionProofs::proof_for`], but a remembered proof that was issued before `oldest` is
    /// not used any more.
    ///
    /// # Errors
    /// [`SigningError`] when the key refuses; nothing changes then.
    pub fn proof_since(
        &mut self,
        token: &AccessTokenHash,
        now: u64,
        oldest: u64,
    ) -> Result<(Proof, Origin), SigningError> {
        self.uses += 1;
        if let Some(entry) = self.proofs.get_mut(token)
            && entry.issued_at >= oldest
        {
            entry.last_use = self.uses;
            return Ok((entry.proof.clone(), Origin::Reused));
        }
        let proof = ProofBuilder::new(token, &self.exporter, now).sign(&self.signer)?;
        self.make_room();
        self.proofs.insert(
            *token,
            Entry {
                proof: proof.clone(),
                issued_at: now,
                last_use: self.uses,
            },
        );
        Ok((proof, Origin::Made))
    }

    /// Forgets a proof that was refused: the next one is signed anew.
    ///
    /// When the token has another proof already, that one stays: of many requests that are refused
    /// at once, the first gets a signature and the others share it.
    pub fn forget(&mut self, token: &AccessTokenHash, refused: &Proof) {
        if self
            .proofs
            .get(token)
            .is_some_and(|entry| entry.proof == *refused)
        {
            self.proofs.remove(token);
        }
    }

    /// How many proofs are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.proofs.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.proofs.is_empty()
    }

    /// Forgets all proofs, which costs a signature for each token that comes again.
    pub fn clear(&mut self) {
        self.proofs.clear();
    }

    /// A per-request proof, never remembered: `limit` adds the request's claims.
    ///
    /// # Errors
    /// [`SigningError`] when the key refuses.
    pub fn per_request(
        &self,
        token: &AccessTokenHash,
        now: u64,
        limit: impl FnOnce(ProofBuilder) -> ProofBuilder,
    ) -> Result<Proof, SigningError> {
        limit(ProofBuilder::new(token, &self.exporter, now)).sign(&self.signer)
    }

    fn make_room(&mut self) {
        if self.proofs.len() < MAX_PROOFS {
            return;
        }
        let oldest = self.proofs.iter().min_by_key(|(_, entry)| entry.last_use);
        if let Some(key) = oldest.map(|(key, _)| *key) {
            self.proofs.remove(&key);
        }
    }
}

impl fmt::Debug for ConnectionProofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proofs = self.proofs.len();
        f.debug_struct("ConnectionProofs")
            .field("proofs", &proofs)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::PKCS_ED25519;
    use tls_session_binding::access_token::AccessToken;

    use super::*;
    use crate::testing::Identity;

    fn proofs(exporter: u8) -> ConnectionProofs {
        let signer = Identity::new(&PKCS_ED25519).signer().unwrap();
        ConnectionProofs::new(Arc::new(signer), ExporterValue::from_bytes([exporter; 32]))
    }

    fn token(text: &str) -> AccessTokenHash {
        AccessToken::parse(text).unwrap().hash()
    }

    #[test]
    fn a_proof_that_is_older_than_asked_for_is_signed_anew() {
        let mut proofs = proofs(1);
        let (first, _) = proofs.proof_since(&token("a"), 10, 0).unwrap();
        let again = (first.clone(), Origin::Reused);
        assert_eq!(proofs.proof_since(&token("a"), 20, 10).unwrap(), again);
        let (second, origin) = proofs.proof_since(&token("a"), 20, 11).unwrap();
        assert_eq!(origin, Origin::Made);
        assert_ne!(first, second);
    }

    #[test]
    fn a_proof_is_signed_once_per_token() {
        let mut proofs = proofs(1);
        let (first, origin) = proofs.proof_for(&token("a"), 10).unwrap();
        assert_eq!(origin, Origin::Made);
        let last = 10 + PROOF_LIFETIME;
        assert_eq!(
            proofs.proof_for(&token("a"), last).unwrap(),
            (first.clone(), Origin::Reused)
        );
        let (other, origin) = proofs.proof_for(&token("b"), 10).unwrap();
        assert_eq!(origin, Origin::Made);
        assert_ne!(first, other);
    }

    #[test]
    fn a_proof_is_signed_anew_when_its_lifetime_is_over() {
        let mut proofs = proofs(1);
        let (first, _) = proofs.proof_for(&token("a"), 10).unwrap();
        let late = 10 + PROOF_LIFETIME + 1;
        let (second, origin) = proofs.proof_for(&token("a"), late).unwrap();
        assert_eq!(origin, Origin::Made);
        assert_ne!(first, second);
        let again = proofs.proof_for(&token("a"), late + 1).unwrap();
        assert_eq!(again, (second, Origin::Reused));
    }

    #[test]
    fn a_forgotten_proof_is_signed_anew_with_the_time_of_now() {
        let mut proofs = proofs(1);
        let (first, _) = proofs.proof_for(&token("a"), 10).unwrap();
        proofs.forget(&token("a"), &first);
        let (second, origin) = proofs.proof_for(&token("a"), 11).unwrap();
        assert_eq!(origin, Origin::Made);
        assert_ne!(first, second);
        proofs.forget(&token("a"), &first);
        assert_eq!(
            proofs.proof_for(&token("a"), 12).unwrap(),
            (second, Origin::Reused)
        );
    }

    #[test]
    fn the_number_of_proofs_is_bounded_and_the_longest_unused_goes_first() {
        let mut proofs = proofs(1);
        for number in 0..MAX_PROOFS {
            proofs.proof_for(&token(&number.to_string()), 10).unwrap();
        }
        assert_eq!(proofs.proof_for(&token("0"), 10).unwrap().1, Origin::Reused);
        proofs.proof_for(&token("one-more"), 10).unwrap();
        assert_eq!(proofs.proofs.len(), MAX_PROOFS);
        assert_eq!(proofs.proof_for(&token("0"), 10).unwrap().1, Origin::Reused);
        assert_eq!(proofs.proof_for(&token("1"), 10).unwrap().1, Origin::Made);
    }

    #[test]
    fn a_per_request_proof_is_never_remembered() {
        let mut proofs = proofs(1);
        proofs
            .per_request(&token("a"), 10, |proof| proof.id("one"))
            .unwrap();
        assert_eq!(proofs.proof_for(&token("a"), 10).unwrap().1, Origin::Made);
    }

    #[test]
    fn debug_shows_neither_proofs_nor_tokens() {
        let mut proofs = proofs(1);
        proofs.proof_for(&token("a"), 10).unwrap();
        assert_eq!(format!("{proofs:?}"), "ConnectionProofs { proofs: 1, .. }");
    }
}
