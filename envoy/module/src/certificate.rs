//! What a certificate says, once the authorities vouch for it.

use tls_session_binding_client::CertificateThumbprint;
use x509_cert::TbsCertificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::oid::db::rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::KeyUsage;
use x509_cert::time::Time;

use crate::spiffe::SpiffeId;

mod names;

use names::Names;
pub(crate) use names::is_dns_name;

/// Names and times of one certificate.
#[derive(Debug, Clone)]
pub struct Certificate {
    subject: String,
    names: Names,
    spiffe_id: Option<SpiffeId>,
    thumbprint: CertificateThumbprint,
    not_before: u64,
    not_after: u64,
}

impl Certificate {
    /// Reads the names. It does *not* verify the certificate.
    ///
    /// # Errors
    /// `Unreadable` for what is no X.509 certificate in DER.
    pub fn of_der(der: &[u8]) -> Result<Self, Unreadable> {
        let parsed = x509_cert::Certificate::from_der(der).map_err(|_| Unreadable)?;
        let body = &parsed.tbs_certificate;
        let names = Names::of(body);
        Ok(Self {
            subject: body.subject.to_string(),
            spiffe_id: spiffe_id(body, &names),
            names,
            thumbprint: CertificateThumbprint::of_der(der),
            not_before: seconds(body.validity.not_before),
            not_after: seconds(body.validity.not_after),
        })
    }

    /// The subject, in the form of RFC 4514; empty where it is empty, as in many SVIDs.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The SPIFFE ID of an X.509-SVID: the only URI of a certificate that may sign neither certificates
    /// nor revocation lists (X509-SVID section 5.2).
    #[must_use]
    pub fn spiffe_id(&self) -> Option<&SpiffeId> {
        self.spiffe_id.as_ref()
    }

    /// The URIs among the alternative names, those without a comma that can be read.
    #[must_use]
    pub fn uris(&self) -> &[String] {
        &self.names.uris
    }

    /// The DNS names among the alternative names, those that can be read.
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.names.dns
    }

    /// SHA-256 of the whole certificate.
    #[must_use]
    pub fn thumbprint(&self) -> &CertificateThumbprint {
        &self.thumbprint
    }

    /// When it begins to be valid, in seconds since the epoch.
    #[must_use]
    pub fn not_before(&self) -> u64 {
        self.not_before
    }

    /// When it expires, in seconds since the epoch.
    #[must_use]
    pub fn not_after(&self) -> u64 {
        self.not_after
    }
}

/// When a certificate expires, in seconds since the epoch, without a look at its names.
///
/// # Errors
/// `Unreadable` for what is no X.509 certificate in DER.
pub fn not_after(der: &[u8]) -> Result<u64, Unreadable> {
    let parsed = x509_cert::Certificate::from_der(der).map_err(|_| Unreadable)?;
    Ok(seconds(parsed.tbs_certificate.validity.not_after))
}

/// When a revocation list ends, in seconds since the epoch.
///
/// # Errors
/// `Unreadable` for what is no revocation list in DER, or has no end.
pub fn next_update(der: &[u8]) -> Result<u64, Unreadable> {
    let parsed = CertificateList::from_der(der).map_err(|_| Unreadable)?;
    parsed
        .tbs_cert_list
        .next_update
        .map(seconds)
        .ok_or(Unreadable)
}

/// Which certificates a revocation list is about: its issuer's name, and its distribution point if it
/// has one (RFC 5280 section 5.2.5), both in DER.
///
/// # Errors
/// `Unreadable` for what is no revocation list in DER.
pub fn list_scope(der: &[u8]) -> Result<(Vec<u8>, Option<Vec<u8>>), Unreadable> {
    let parsed = CertificateList::from_der(der).map_err(|_| Unreadable)?;
    let list = parsed.tbs_cert_list;
    let mut extensions = list.crl_extensions.iter().flatten();
    let point = extensions.find(|one| one.extn_id == ID_CE_ISSUING_DISTRIBUTION_POINT);
    Ok((
        list.issuer.to_der().map_err(|_| Unreadable)?,
        point.map(|one| one.extn_value.as_bytes().to_vec()),
    ))
}

fn seconds(time: Time) -> u64 {
    time.to_unix_duration().as_secs()
}

/// The bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

fn spiffe_id(body: &TbsCertificate, names: &Names) -> Option<SpiffeId> {
    match names.uris.as_slice() {
        [uri] if names.uri_count == 1 && !may_sign_for_others(body) => SpiffeId::parse(uri),
        _ => None,
    }
}

/// Whether the key usage is that of an authority, or cannot be read.
fn may_sign_for_others(body: &TbsCertificate) -> bool {
    match body.get::<KeyUsage>() {
        Ok(usage) => usage.is_some_and(|(_, usage)| usage.key_cert_sign() || usage.crl_sign()),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests;
