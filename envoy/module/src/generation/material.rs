//! What the files hold, parsed.

use std::fmt::Display;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::certificate::Certificate;
use crate::config::Mistakes;
use crate::files::{Contents, Unusable};

/// Authorities and what they revoked.
pub(super) struct Trust {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) crls: Vec<CertificateRevocationListDer<'static>>,
}

impl Trust {
    pub(super) fn read(contents: &Contents) -> Result<Self, Mistakes> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&contents.ca) {
            let certificate = certificate.map_err(|error| mistake("peer.ca", error))?;
            roots
                .add(certificate)
                .map_err(|error| mistake("peer.ca", error))?;
        }
        let mut crls = Vec::new();
        for (index, pem) in contents.crls.iter().enumerate() {
            let before = crls.len();
            for crl in CertificateRevocationListDer::pem_slice_iter(pem) {
                crls.push(crl.map_err(|error| mistake(&format!("peer.crls[{index}]"), error))?);
            }
            if crls.len() == before {
                return Err(mistake(
                    &format!("peer.crls[{index}]"),
                    "holds no revocation list",
                ));
            }
        }
        Ok(Self {
            roots: Arc::new(roots),
            crls,
        })
    }
}

/// The own certificate with its key.
pub(super) fn certified_key(
    contents: &Contents,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Unusable> {
    let chain = CertificateDer::pem_slice_iter(&contents.certificate_chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| mistake("identity.certificate_chain", error))?;
    if chain.is_empty() {
        return Err(mistake("identity.certificate_chain", "holds no certificate in PEM").into());
    }
    // The error of the parser is not shown: it may quote the file.
    let key = PrivateKeyDer::from_pem_slice(&contents.private_key)
        .map_err(|_| mistake("identity.private_key", "holds no private key in PEM"))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        // Whoever renews both writes one file first.
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            Unusable::NotYet(mistake("identity", error))
        }
        error => mistake("identity", error).into(),
    })
}

/// When the own certificate expires, in seconds since the epoch.
pub(super) fn expiry(key: &CertifiedKey) -> Result<u64, Mistakes> {
    let unreadable = || mistake("identity.certificate_chain", "holds no certificate in PEM");
    let leaf = key.end_entity_cert().map_err(|_| unreadable())?;
    Certificate::of_der(leaf)
        .map(|leaf| leaf.not_after())
        .map_err(|_| unreadable())
}

/// A mistake in what `key` names.
pub(super) fn mistake(key: &str, what: impl Display) -> Mistakes {
    Mistakes::one(format!("{key}: {what}"))
}
