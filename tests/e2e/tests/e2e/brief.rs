//! Certificates that soon end.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
};
use tls_session_binding_e2e::Result;

/// A certificate of the stack's CA, with a new key, that ends after `life`: its PEM and its key's.
pub(crate) fn make(pki: &Path, life: Duration) -> Result<(String, String)> {
    let now = SystemTime::now();
    valid(pki, now - Duration::from_secs(2), now + life)
}

/// The same, valid between two times.
pub(crate) fn valid(pki: &Path, from: SystemTime, to: SystemTime) -> Result<(String, String)> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name = DistinguishedName::new();
    ca.distinguished_name
        .push(DnType::CommonName, "Session Binding Development CA");
    let ca_key = std::fs::read_to_string(pki.join("ca.key"))?;
    let issuer = Issuer::new(ca, KeyPair::from_pem(&ca_key)?);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["agent.demo".to_owned()])?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = from.into();
    params.not_after = to.into();
    let certificate = params.signed_by(&key, &issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Puts one into the place of the certificate `name`, as renewing programs do: file by file.
pub(crate) fn issue(pki: &Path, name: &str, life: Duration) -> Result<()> {
    put(pki, name, make(pki, life)?)
}

/// Puts a certificate and its key there.
pub(crate) fn put(pki: &Path, name: &str, (certificate, key): (String, String)) -> Result<()> {
    for (ending, text) in [("key", key), ("pem", certificate)] {
        let next = pki.join(format!("{name}.next"));
        std::fs::write(&next, text)?;
        std::fs::rename(next, pki.join(format!("{name}.{ending}")))?;
    }
    Ok(())
}
