//! Authorities of the tests' own, and what they issue.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tls_session_binding_e2e::Result;

/// An authority with its key.
pub(crate) type Authority = Issuer<'static, KeyPair>;

/// The CA of a stack.
pub(crate) fn authority_of(pki: &Path) -> Result<Authority> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name = DistinguishedName::new();
    ca.distinguished_name
        .push(DnType::CommonName, "Session Binding Development CA");
    let key = fs::read_to_string(pki.join("ca.key"))?;
    Ok(Issuer::new(ca, KeyPair::from_pem(&key)?))
}

/// A new authority of this common name; its certificate is the file `name`.pem.
pub(crate) fn new_authority(pki: &Path, name: &str, common_name: &str) -> Result<Authority> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pem = params.self_signed(&key)?.pem();
    fs::write(pki.join(format!("{name}.pem")), pem)?;
    Ok(Issuer::new(params, key))
}

/// Writes a certificate for a client and its key, `name`, as `change` makes it.
pub(crate) fn issue(
    pki: &Path,
    issuer: &Authority,
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> Result<()> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    let certificate = params.signed_by(&key, issuer)?;
    fs::write(pki.join(format!("{name}.key")), key.serialize_pem())?;
    let certificate_file = pki.join(format!("{name}.pem"));
    Ok(fs::write(certificate_file, certificate.pem())?)
}

/// A list of one revoked serial number.
pub(crate) fn revocation_list(issuer: &Authority, serial: u64) -> Result<String> {
    let revoked = RevokedCertParams {
        serial_number: SerialNumber::from(serial),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2100, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(list.signed_by(issuer)?.pem()?)
}

/// Alternative names as tag and content, which no builder of certificates would write.
pub(crate) fn names(names: &[(u8, &[u8])]) -> Result<CustomExtension> {
    let mut list = Vec::new();
    for (tag, name) in names {
        list.push(*tag);
        list.push(short(name)?);
        list.extend_from_slice(name);
    }
    let extension = [&[0x30, short(&list)?], list.as_slice()].concat();
    Ok(CustomExtension::from_oid_content(
        &[2, 5, 29, 17],
        extension,
    ))
}

/// A length that DER writes as one byte.
fn short(bytes: &[u8]) -> Result<u8> {
    let length = u8::try_from(bytes.len())?;
    (length < 128)
        .then_some(length)
        .ok_or_else(|| "too long for these tests".into())
}
