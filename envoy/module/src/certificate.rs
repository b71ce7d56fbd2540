//! What a certificate says, once the authorities vouch for it.

use tls_session_binding_client::CertificateThumbprint;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

/// Scheme of the URI in an X.509-SVID.
const SPIFFE: &str = "spiffe://";

/// Names and times of one certificate.
#[derive(Debug, Clone)]
pub struct Certificate {
    subject: String,
    uris: Vec<String>,
    dns_names: Vec<String>,
    thumbprint: CertificateThumbprint,
    not_after: u64,
}

impl Certificate {
    /// Reads the names. It does *not* verify the certificate: that is done before.
    ///
    /// # Errors
    /// `Unreadable` for what is no X.509 certificate in DER.
    pub fn of_der(der: &[u8]) -> Result<Self, Unreadable> {
        let parsed = x509_cert::Certificate::from_der(der).map_err(|_| Unreadable)?;
        let body = &parsed.tbs_certificate;
        let names = body.get::<SubjectAltName>().map_err(|_| Unreadable)?;
        let names = names.map(|(_, names)| names.0).unwrap_or_default();
        Ok(Self {
            subject: body.subject.to_string(),
            uris: names.iter().filter_map(uri).collect(),
            dns_names: names.iter().filter_map(dns_name).collect(),
            thumbprint: CertificateThumbprint::of_der(der),
            not_after: seconds(body.validity.not_after),
        })
    }

    /// The subject, in the form of RFC 4514; empty where it is empty, as in many SVIDs.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The SPIFFE ID: the URI of a certificate that has exactly one, as X.509-SVID demands.
    #[must_use]
    pub fn spiffe_id(&self) -> Option<&str> {
        match self.uris.as_slice() {
            [uri] if uri.starts_with(SPIFFE) => Some(uri),
            _ => None,
        }
    }

    /// The URIs among the alternative names.
    #[must_use]
    pub fn uris(&self) -> &[String] {
        &self.uris
    }

    /// The DNS names among the alternative names.
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }

    /// SHA-256 of the whole certificate.
    #[must_use]
    pub fn thumbprint(&self) -> &CertificateThumbprint {
        &self.thumbprint
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

fn seconds(time: Time) -> u64 {
    time.to_unix_duration().as_secs()
}

/// The bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

fn uri(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str().to_owned()),
        _ => None,
    }
}

fn dns_name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        _ => None,
    }
}
