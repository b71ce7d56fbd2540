//! Connections to servers, and the proofs made on them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustls::ClientConnection;
use tls_session_binding_client::AccessTokenHash;
use tls_session_binding_client::exporter::{self, ExporterError};
use tls_session_binding_client::proof::{Proof, ProofBuilder};
use tls_session_binding_client::proofs::{ConnectionProofs, Origin};
use tls_session_binding_client::signer::{Signer, SigningError};

use crate::registry::{Entries, Registry};
use crate::rotation::{self, Tenure};

/// Connections to servers, by id.
pub const CONNECTIONS: Registry<Upstream> = Registry::over(&ENTRIES);

/// Refused tokens that one worker remembers; a forgotten one may cost one more refusal.
const MAX_REFUSED: usize = 1024;
/// Proofs that all connections together remember: about 24 MiB. A forgotten one costs a signature.
const MAX_PROOFS_IN_ALL: usize = 32 * 1024;

/// Proofs that are remembered.
static PROOFS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static ENTRIES: Entries<Upstream> = Entries::default();
    /// When a proof of a token was last refused, in seconds since the epoch. A verifier refuses what
    /// is too old, and what is too old is so on every connection: the retry may take another one.
    static REFUSED: RefCell<HashMap<AccessTokenHash, u64>> = RefCell::default();
}

/// One connection to a server, and its proofs: they end with it.
pub struct Upstream {
    /// None if the key cannot sign proofs.
    proofs: Option<RefCell<ConnectionProofs>>,
    /// How many of them are counted in [`PROOFS`].
    counted: Cell<usize>,
    truncated: Cell<bool>,
    tenure: Tenure,
}

/// Why there is no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unprovable {
    /// No algorithm of proofs fits the connection's key.
    Key,
    /// The key refuses.
    Signing(SigningError),
}

impl From<SigningError> for Unprovable {
    fn from(error: SigningError) -> Self {
        Self::Signing(error)
    }
}

/// How many proofs are remembered on all connections.
#[must_use]
pub fn proofs_held() -> usize {
    PROOFS.load(Relaxed)
}

impl Upstream {
    /// A connection whose handshake is done, opened with the signer's certificate, or with one whose key
    /// signs no proofs.
    ///
    /// # Errors
    /// When there is no exporter value, which a finished handshake rules out.
    pub fn of(
        tls: &ClientConnection,
        signer: Option<&Arc<Signer>>,
        tenure: Tenure,
    ) -> Result<Self, ExporterError> {
        let exporter = exporter::of(tls)?;
        let proofs = signer.map(|signer| ConnectionProofs::new(Arc::clone(signer), exporter));
        Ok(Self {
            proofs: proofs.map(RefCell::new),
            counted: Cell::new(0),
            truncated: Cell::new(false),
            tenure,
        })
    }

    /// How long it may live.
    #[must_use]
    pub fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    /// The proof of a token on this connection: signed anew at `now` if there is none, if it was
    /// issued before `oldest`, or if one as old as it was refused.
    ///
    /// # Errors
    /// When there is no key, or it refuses.
    pub fn proof(
        &self,
        token: &AccessTokenHash,
        now: u64,
        oldest: u64,
    ) -> Result<(Proof, Origin), Unprovable> {
        let proofs = self.proofs.as_ref().ok_or(Unprovable::Key)?;
        let oldest = oldest.max(last_refusal(token));
        let proof = proofs.borrow_mut().proof_since(token, now, oldest)?;
        self.count();
        if proofs_held() > MAX_PROOFS_IN_ALL {
            self.make_room();
        }
        Ok(proof)
    }

    /// Keeps the count of all proofs true after those of this connection changed.
    fn count(&self) {
        let held = self.held();
        let before = self.counted.replace(held);
        if held > before {
            PROOFS.fetch_add(held - before, Relaxed);
        } else if held < before {
            PROOFS.fetch_sub(before - held, Relaxed);
        }
    }

    fn held(&self) -> usize {
        self.proofs
            .as_ref()
            .map_or(0, |proofs| proofs.borrow().len())
    }

    /// Takes the proofs of the connection of this worker that has most of them; if none has any but this
    /// one, its own.
    fn make_room(&self) {
        let mut most: Option<Rc<Self>> = None;
        CONNECTIONS.each(|one| {
            if most.as_ref().is_none_or(|most| most.held() < one.held()) {
                most = Some(Rc::clone(one));
            }
        });
        most.as_deref()
            .filter(|most| most.held() > self.held())
            .unwrap_or(self)
            .clear();
    }

    fn clear(&self) {
        if let Some(proofs) = &self.proofs {
            proofs.borrow_mut().clear();
        }
        self.count();
    }

    /// Notes that the other side refused a proof of this connection.
    pub fn refused(&self, token: &AccessTokenHash, proof: &Proof, now: u64) {
        if let Some(proofs) = &self.proofs {
            proofs.borrow_mut().forget(token, proof);
        }
        self.count();
        REFUSED.with_borrow_mut(|refused| {
            if refused.len() >= MAX_REFUSED {
                refused.clear();
            }
            refused.insert(*token, now);
        });
    }

    /// A proof for one request, to which `limit` adds its claims.
    ///
    /// # Errors
    /// When there is no key, or it refuses.
    pub fn proof_of_request(
        &self,
        token: &AccessTokenHash,
        now: u64,
        limit: impl FnOnce(ProofBuilder) -> ProofBuilder,
    ) -> Result<Proof, Unprovable> {
        let proofs = self.proofs.as_ref().ok_or(Unprovable::Key)?;
        Ok(proofs.borrow().per_request(token, now, limit)?)
    }

    /// Notes that the connection ended without `close_notify`: by FIN, by RST, or by a record that is none.
    pub fn mark_truncated(&self) {
        self.truncated.set(true);
    }

    /// Whether the connection ended without `close_notify`: what it sent last may not be all.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated.get()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        PROOFS.fetch_sub(self.counted.get(), Relaxed);
    }
}

/// A request under way on a connection, until it is dropped.
#[derive(Debug)]
pub struct Ride(Rc<Upstream>);

impl Ride {
    /// A request goes out on `connection`.
    #[must_use]
    pub fn on(connection: Rc<Upstream>) -> Self {
        connection.tenure.begin();
        Self(connection)
    }
}

impl Deref for Ride {
    type Target = Rc<Upstream>;

    fn deref(&self) -> &Rc<Upstream> {
        &self.0
    }
}

impl Drop for Ride {
    fn drop(&mut self) {
        self.0.tenure.finish();
    }
}

/// Ends the connections of this worker that are over.
pub fn end_what_is_over() {
    if rotation::is_due() {
        CONNECTIONS.each(|connection| connection.tenure.end_if_over());
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upstream").finish_non_exhaustive()
    }
}

fn last_refusal(token: &AccessTokenHash) -> u64 {
    REFUSED.with_borrow(|refused| refused.get(token).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests;
