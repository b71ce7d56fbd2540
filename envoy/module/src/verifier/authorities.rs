//! Which authorities judge a certificate.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rustls::{CertificateError, Error, OtherError};

use crate::certificate::Certificate;
use crate::spiffe::{SpiffeId, TrustDomain};

/// Those who vouch for the other end.
pub enum Authorities<V: ?Sized> {
    /// For any name.
    All(Judges<V>),
    /// Each for the SPIFFE IDs of one trust domain; a closed one has none.
    ByDomain(BTreeMap<TrustDomain, Option<Judges<V>>>),
}

impl<V: ?Sized> Authorities<V> {
    /// Who judges this certificate. Its own name chooses: names in the certificates of authorities are
    /// what an authority says of itself.
    ///
    /// # Errors
    /// [`NotOfADomain`], in the words of rustls.
    pub fn of(&self, leaf: &Certificate) -> Result<&Judges<V>, Error> {
        let domains = match self {
            Self::All(judges) => return Ok(judges),
            Self::ByDomain(domains) => domains,
        };
        let id = leaf.spiffe_id().ok_or(NotOfADomain::NoSpiffeId)?;
        match domains.get(id.trust_domain()) {
            None => Err(NotOfADomain::Unknown(id.clone()).into()),
            Some(None) => Err(NotOfADomain::Closed(id.clone()).into()),
            Some(Some(judges)) => Ok(judges),
        }
    }
}

/// Verifiers with the same authorities, one for each choice among revocation lists of one name: rustls
/// takes the first list that has the issuer's name, whoever signed it.
pub struct Judges<V: ?Sized>(Vec<Arc<V>>);

impl<V: ?Sized> Judges<V> {
    /// Judges of equal rank; none accepts nothing.
    #[must_use]
    pub fn new(judges: Vec<Arc<V>>) -> Self {
        Self(judges)
    }

    /// Accepted if one accepts, and none found a revocation: it did so on a list that the certificate's own
    /// issuer signed.
    ///
    /// # Errors
    /// The revocation, or else what the judge says that comes furthest.
    pub fn verdict(&self, judge: impl Fn(&V) -> Result<(), Error>) -> Result<(), Error> {
        let mut verdicts: Vec<_> = self.0.iter().map(|one| judge(one)).collect();
        verdicts.sort_by_key(Self::rank);
        let nobody = Err(CertificateError::UnknownIssuer.into());
        verdicts.into_iter().next().unwrap_or(nobody)
    }

    fn rank(verdict: &Result<(), Error>) -> u8 {
        match verdict {
            Err(Error::InvalidCertificate(CertificateError::Revoked)) => 0,
            Ok(()) => 1,
            // Says only that the list was not the one of this certificate's issuer.
            Err(Error::InvalidCertRevocationList(_)) => 3,
            Err(_) => 2,
        }
    }
}

/// Why a certificate is nobody's to vouch for, where authorities go by trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotOfADomain {
    /// It is no X.509-SVID.
    NoSpiffeId,
    /// Its trust domain is not configured.
    Unknown(SpiffeId),
    /// The bundle of its trust domain is missing or broken.
    Closed(SpiffeId),
}

impl fmt::Display for NotOfADomain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSpiffeId => formatter
                .write_str("has not exactly one URI that is a SPIFFE ID, or may sign for others"),
            Self::Unknown(id) => write!(
                formatter,
                "is of a trust domain that is not configured: {}",
                id.as_str()
            ),
            Self::Closed(id) => write!(
                formatter,
                "is of a trust domain whose bundle is missing or broken: {}",
                id.as_str()
            ),
        }
    }
}

impl std::error::Error for NotOfADomain {}

impl From<NotOfADomain> for Error {
    fn from(refusal: NotOfADomain) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
    }
}
