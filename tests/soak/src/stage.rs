//! What everybody who asks shares: where to connect, who issues tokens, and what Envoy is up to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tls_session_binding_client::dev::authorization_server::AuthorizationServerKey;
use tls_session_binding_client::http::{HttpVersion, Options, Session};
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::party::Party;

use crate::tally::Tally;

/// What the filter is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// As shipped.
    Shipped,
    /// Proofs of the client's algorithm are refused.
    Tight,
}

pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) pki: PathBuf,
    pub(crate) issuer: AuthorizationServerKey,
    pub(crate) tally: Tally,
    /// `None` while it changes: then new connections may be judged by either.
    policy: Mutex<Option<Policy>>,
    /// Whether the service answers; `None` while it goes or comes.
    service: Mutex<Option<bool>>,
    /// Even between two changes of the certificates, odd while they change.
    certificates: AtomicU64,
    /// Whether Envoy may send connections away.
    drains: AtomicBool,
    /// Whether new connections may be refused, for Envoy is about to end.
    leaves: AtomicBool,
}

/// A connection, and the policy that judges it as long as it lives.
pub(crate) struct Judged {
    pub(crate) session: Session,
    pub(crate) policy: Option<Policy>,
}

impl Stage {
    pub(crate) fn new(address: SocketAddr, pki: PathBuf, issuer: AuthorizationServerKey) -> Self {
        Self {
            address,
            pki,
            issuer,
            tally: Tally::default(),
            policy: Mutex::new(Some(Policy::Shipped)),
            service: Mutex::new(Some(true)),
            certificates: AtomicU64::new(0),
            drains: AtomicBool::new(false),
            leaves: AtomicBool::new(false),
        }
    }

    pub(crate) fn party(&self, name: &str, http: HttpVersion) -> Result<Party> {
        let options = Options {
            http,
            ..Options::default()
        };
        Party::new(&self.pki, name, self.address, options)
    }

    /// Opens a connection.
    pub(crate) async fn open(&self, party: &Party) -> Result<Judged> {
        let before = self.policy();
        let session = party.connect().await?;
        self.tally.note_connection();
        self.tally
            .remember_secret(&session.exporter().to_base64url());
        let policy = before.filter(|_| before == self.policy());
        Ok(Judged { session, policy })
    }

    pub(crate) fn policy(&self) -> Option<Policy> {
        *self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_policy(&self, policy: Option<Policy>) {
        *self.policy.lock().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    pub(crate) fn service(&self) -> Option<bool> {
        *self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_service(&self, answers: Option<bool>) {
        *self.service.lock().unwrap_or_else(PoisonError::into_inner) = answers;
    }

    pub(crate) fn certificates(&self) -> u64 {
        self.certificates.load(Ordering::SeqCst)
    }

    /// Begins a change of the certificates, or ends it.
    pub(crate) fn change_certificates(&self) {
        self.certificates.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn drains(&self) -> bool {
        self.drains.load(Ordering::SeqCst)
    }

    pub(crate) fn set_drains(&self, drains: bool) {
        self.drains.store(drains, Ordering::SeqCst);
    }

    pub(crate) fn leaves(&self) -> bool {
        self.leaves.load(Ordering::SeqCst)
    }

    pub(crate) fn set_leaves(&self) {
        self.leaves.store(true, Ordering::SeqCst);
    }
}
