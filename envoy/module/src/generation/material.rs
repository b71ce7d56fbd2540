//! What the files hold, parsed.

use std::fmt::Display;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use tls_session_binding_client::pem;
use tls_session_binding_client::signer::SignerError;

use crate::certificate::Certificate;
use crate::config::Mistakes;
use crate::files::{Contents, Unusable};

/// The own certificate with its key.
pub(super) fn certified_key(
    contents: &Contents,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Unusable> {
    let chain = pem::certificates(&contents.certificate_chain)
        .map_err(|error| mistake("identity.certificate_chain", error))?;
    let key = pem::private_key(&contents.private_key)
        .map_err(|error| mistake("identity.private_key", error))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        // Whoever renews both writes one file first.
        let may_pass = error == Error::InconsistentKeys(InconsistentKeys::KeyMismatch);
        let mistake = mistake("identity", SignerError::from(error));
        if may_pass {
            Unusable::NotYet(mistake)
        } else {
            mistake.into()
        }
    })
}

/// When the own certificate expires, in seconds since the epoch.
pub(super) fn expiry(key: &CertifiedKey) -> Result<u64, Mistakes> {
    let unreadable = || {
        mistake(
            "identity.certificate_chain",
            "block 1 is no X.509 certificate",
        )
    };
    let leaf = key.end_entity_cert().map_err(|_| unreadable())?;
    Certificate::of_der(leaf)
        .map(|leaf| leaf.not_after())
        .map_err(|_| unreadable())
}

/// A mistake in what `key` names.
pub(super) fn mistake(key: &str, what: impl Display) -> Mistakes {
    Mistakes::one(format!("{key}: {what}"))
}
