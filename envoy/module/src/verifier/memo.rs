//! Chains that were accepted a moment ago.
//!
//! What a verifier says of a chain depends on its authorities, revocation lists, names and rules, and
//! on the time. All but the time belong to one generation, and so does the memo. Hence an acceptance
//! holds until the first of the certificates or lists behind it ends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::Error;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use sha2::{Digest as _, Sha256};

use crate::certificate::{Certificate, next_update, not_after};

/// Seconds after which a chain is verified anew, whatever its certificates say.
const MAX_AGE: u64 = 60;
/// Chains that are remembered: a quarter of a megabyte. To forget one costs a verification.
const MAX_CHAINS: usize = 4096;

/// What one verifier accepted, and when that must be asked again. It holds no refusal.
#[derive(Debug)]
pub struct Memo {
    accepted: Mutex<HashMap<[u8; 32], Span>>,
    /// When the first revocation list ends.
    lists_end: u64,
}

/// From when, and until before when, in seconds since the epoch.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: u64,
    until: u64,
}

impl Memo {
    /// A memo for a verifier with these revocation lists.
    #[must_use]
    pub fn new(lists: &[CertificateRevocationListDer<'_>]) -> Self {
        // One that cannot be read leaves nothing to remember.
        let ends = lists.iter().map(|list| next_update(list).unwrap_or(0));
        Self {
            accepted: Mutex::default(),
            lists_end: ends.min().unwrap_or(u64::MAX),
        }
    }

    /// What `verify` says of a chain, unless it accepted the same one a moment ago.
    ///
    /// # Errors
    /// Those of `verify`.
    pub fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        verify: impl FnOnce() -> Result<Certificate, Error>,
    ) -> Result<(), Error> {
        let (chain, now) = (digest(leaf, intermediates), now.as_secs());
        if self.holds(&chain, now) {
            return Ok(());
        }
        let leaf = verify()?;
        if let Some(until) = self.end(&leaf, intermediates, now) {
            self.keep(chain, Span { from: now, until });
        }
        Ok(())
    }

    fn holds(&self, chain: &[u8; 32], now: u64) -> bool {
        self.accepted()
            .get(chain)
            .is_some_and(|span| (span.from..span.until).contains(&now))
    }

    /// When an acceptance of now ends; `None` if a certificate of the chain cannot be read.
    fn end(
        &self,
        leaf: &Certificate,
        intermediates: &[CertificateDer<'_>],
        now: u64,
    ) -> Option<u64> {
        let first = self.lists_end.min(leaf.not_after());
        intermediates
            .iter()
            .try_fold(first.min(now.saturating_add(MAX_AGE)), |end, one| {
                Some(end.min(not_after(one).ok()?))
            })
    }

    fn keep(&self, chain: [u8; 32], span: Span) {
        let mut accepted = self.accepted();
        if accepted.len() >= MAX_CHAINS {
            accepted.clear();
        }
        accepted.insert(chain, span);
    }

    fn accepted(&self) -> MutexGuard<'_, HashMap<[u8; 32], Span>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names the chain, certificate by certificate: each counts with its length.
fn digest(leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for certificate in std::iter::once(leaf).chain(intermediates) {
        hash.update(certificate.len().to_le_bytes());
        hash.update(certificate);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
