//! Connections to servers, and the proofs made on them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::ClientConnection;
use tls_session_binding_client::AccessTokenHash;
use tls_session_binding_client::exporter::{self, ExporterError};
use tls_session_binding_client::proof::{Proof, ProofBuilder};
use tls_session_binding_client::proofs::{ConnectionProofs, Origin};
use tls_session_binding_client::signer::{Signer, SigningError};

use crate::registry::{Entries, Registry};

/// Connections to servers, by id.
pub const CONNECTIONS: Registry<Upstream> = Registry::over(&ENTRIES);

/// Refused tokens that one worker remembers; a forgotten one may cost one more refusal.
const MAX_REFUSED: usize = 1024;

thread_local! {
    static ENTRIES: Entries<Upstream> = Entries::default();
    /// When a proof of a token was last refused, in seconds since the epoch. A verifier refuses what
    /// is too old, and what is too old is so on every connection: the retry may take another one.
    static REFUSED: RefCell<HashMap<String, u64>> = RefCell::default();
}

/// One connection to a server, and its proofs: they end with it.
pub struct Upstream {
    proofs: RefCell<ConnectionProofs>,
    truncated: Cell<bool>,
}

impl Upstream {
    /// A connection whose handshake is done, opened with the signer's certificate.
    ///
    /// # Errors
    /// When there is no exporter value, which a finished handshake rules out.
    pub fn of(tls: &ClientConnection, signer: &Arc<Signer>) -> Result<Self, ExporterError> {
        let proofs = ConnectionProofs::new(Arc::clone(signer), exporter::of(tls)?);
        Ok(Self {
            proofs: RefCell::new(proofs),
            truncated: Cell::new(false),
        })
    }

    /// The proof of a token on this connection: signed anew at `now` if there is none, if it was
    /// issued before `oldest`, or if one as old as it was refused.
    ///
    /// # Errors
    /// When the key refuses.
    pub fn proof(
        &self,
        token: &AccessTokenHash,
        now: u64,
        oldest: u64,
    ) -> Result<(Proof, Origin), SigningError> {
        self.proofs
            .borrow_mut()
            .proof_since(token, now, oldest.max(last_refusal(token)))
    }

    /// Notes that the other side refused a proof of this connection.
    pub fn refused(&self, token: &AccessTokenHash, proof: &Proof, now: u64) {
        self.proofs.borrow_mut().forget(token, proof);
        REFUSED.with_borrow_mut(|refused| {
            if refused.len() >= MAX_REFUSED {
                refused.clear();
            }
            refused.insert(token.to_base64url(), now);
        });
    }

    /// A proof for one request, to which `limit` adds its claims.
    ///
    /// # Errors
    /// When the key refuses.
    pub fn proof_of_request(
        &self,
        token: &AccessTokenHash,
        now: u64,
        limit: impl FnOnce(ProofBuilder) -> ProofBuilder,
    ) -> Result<Proof, SigningError> {
        self.proofs.borrow().per_request(token, now, limit)
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

impl fmt::Debug for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upstream").finish_non_exhaustive()
    }
}

fn last_refusal(token: &AccessTokenHash) -> u64 {
    REFUSED.with_borrow(|refused| {
        // Almost always: no need to write the key.
        if refused.is_empty() {
            return 0;
        }
        refused
            .get(&token.to_base64url())
            .copied()
            .unwrap_or_default()
    })
}
