//! What the files hold, parsed.

use std::fmt::Display;
use std::ops::Range;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;
use tls_session_binding_client::pem;
use tls_session_binding_client::signer::SignerError;

use crate::certificate::{Certificate, next_update};
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

/// When the first of some revocation lists ends, in seconds since the epoch.
pub(super) fn end_of(lists: &[u8]) -> u64 {
    CertificateRevocationListDer::pem_slice_iter(lists)
        .map(|list| list.map_or(0, |list| next_update(&list).unwrap_or_default()))
        .min()
        .unwrap_or_default()
}

/// When the own certificate is valid, in seconds since the epoch.
pub(super) fn validity(key: &CertifiedKey) -> Result<Range<u64>, Mistakes> {
    let unreadable = || {
        mistake(
            "identity.certificate_chain",
            "block 1 is no X.509 certificate",
        )
    };
    let leaf = key.end_entity_cert().map_err(|_| unreadable())?;
    Certificate::of_der(leaf)
        // RFC 5280 section 4.1.2.5: the last second belongs to it.
        .map(|leaf| leaf.not_before()..leaf.not_after().saturating_add(1))
        .map_err(|_| unreadable())
}

/// A mistake in what `key` names.
pub(super) fn mistake(key: &str, what: impl Display) -> Mistakes {
    Mistakes::one(format!("{key}: {what}"))
}
