//! What a finished handshake has shown, by connection id.
//!
//! A connection stays on its worker, so each worker thread has a map of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use rustls::Connection;
use rustls::Error;

/// Length of the exporter value.
const EXPORTER_BYTES: usize = 32;
/// Label of the exporter value.
const LABEL: &str = "EXPORTER-oauth-tls-session-bound";

/// Facts of one connection.
pub struct Established {
    /// The exporter value: secret.
    pub exporter: [u8; EXPORTER_BYTES],
    /// DER of the other end's certificate; `None` if it was allowed to show none.
    pub peer_certificate: Option<Vec<u8>>,
}

impl Established {
    /// Reads the facts of a connection whose handshake is done.
    ///
    /// The exporter context is zero-length and present: in TLS 1.2 that is not the same as none.
    ///
    /// # Errors
    /// When the exporter is not available, which a finished handshake rules out.
    pub fn of(tls: &Connection) -> Result<Self, Error> {
        let exporter =
            tls.export_keying_material([0; EXPORTER_BYTES], LABEL.as_bytes(), Some(&[]))?;
        let leaf = tls.peer_certificates().and_then(|chain| chain.first());
        Ok(Self {
            exporter,
            peer_certificate: leaf.map(|leaf| leaf.to_vec()),
        })
    }
}

thread_local! {
    static CONNECTIONS: RefCell<HashMap<u64, Rc<Established>>> = RefCell::default();
}

/// Keeps the facts of connection `id` until [`forget`].
pub fn remember(id: u64, facts: Established) {
    CONNECTIONS.with_borrow_mut(|connections| connections.insert(id, Rc::new(facts)));
}

/// The facts of connection `id`, if it has finished its handshake on this worker.
#[must_use]
pub fn recall(id: u64) -> Option<Rc<Established>> {
    CONNECTIONS.with_borrow(|connections| connections.get(&id).cloned())
}

/// Drops the facts of connection `id`.
pub fn forget(id: u64) {
    CONNECTIONS.with_borrow_mut(|connections| connections.remove(&id));
}
