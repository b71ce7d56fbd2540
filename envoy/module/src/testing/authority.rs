//! Authorities and the certificates that they issue.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData,
    RevocationReason, RevokedCertParams, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

/// Days that certificates are valid around now.
const DAY: Duration = Duration::days(1);

/// An authority.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) der: Vec<u8>,
}

/// What a certificate says; the default is a client and server of the demo.
#[derive(Clone)]
pub(crate) struct Says {
    pub(crate) subject: &'static str,
    pub(crate) names: Vec<&'static str>,
    /// Days from now.
    pub(crate) valid: (i64, i64),
    pub(crate) serial: u64,
    pub(crate) usages: Vec<ExtendedKeyUsagePurpose>,
    pub(crate) key_usages: Vec<KeyUsagePurpose>,
    /// Alternative names as tag and bytes, in place of `names`.
    pub(crate) raw_names: Vec<(u8, &'static [u8])>,
}

impl Default for Says {
    fn default() -> Self {
        let names = vec!["spiffe://demo/service", "service.demo"];
        Self {
            subject: "service",
            names,
            valid: (-1, 1),
            serial: 1,
            usages: vec![
                ExtendedKeyUsagePurpose::ClientAuth,
                ExtendedKeyUsagePurpose::ServerAuth,
            ],
            key_usages: vec![KeyUsagePurpose::DigitalSignature],
            raw_names: Vec::new(),
        }
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, |_| ())
    }

    /// An authority that says of itself that it is of this URI's trust domain.
    pub(crate) fn of_domain(name: &str, uri: &str) -> Self {
        Self::with(name, |params| {
            params.subject_alt_names = vec![alternative_name(uri)];
        })
    }

    pub(crate) fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = authority(name);
        change(&mut params);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// An authority that this one vouches for; its `pem` is the certificate that says so.
    pub(crate) fn vouch_for(&self, name: &str) -> Self {
        let (params, key) = authority(name);
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn issue(&self, says: &Says) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = self.certify(says, &key);
        Leaf {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
        }
    }

    /// A certificate for any public key.
    pub(crate) fn certify(&self, says: &Says, key: &impl PublicKeyData) -> rcgen::Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name.remove(DnType::CommonName);
        if !says.subject.is_empty() {
            params
                .distinguished_name
                .push(DnType::CommonName, says.subject);
        }
        if says.raw_names.is_empty() {
            let names = says.names.iter().map(|name| alternative_name(name));
            params.subject_alt_names = names.collect();
        } else {
            params.custom_extensions.push(raw_names(&says.raw_names));
        }
        params.key_usages.clone_from(&says.key_usages);
        params.extended_key_usages.clone_from(&says.usages);
        params.not_before = OffsetDateTime::now_utc() + DAY * i32::try_from(says.valid.0).unwrap();
        params.not_after = OffsetDateTime::now_utc() + DAY * i32::try_from(says.valid.1).unwrap();
        params.serial_number = Some(SerialNumber::from(says.serial));
        params.signed_by(key, &self.issuer).unwrap()
    }

    pub(crate) fn revoke(&self, serials: &[u64]) -> String {
        self.revoke_until(serials, 1)
    }

    /// With a list that ends in so many days.
    pub(crate) fn revoke_until(&self, serials: &[u64], days: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: OffsetDateTime::now_utc() - DAY,
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: OffsetDateTime::now_utc() - DAY * 2,
            next_update: OffsetDateTime::now_utc() + DAY * days,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params, KeyPair::generate().unwrap())
}

/// All together are shorter than 128 bytes, so each length is one byte.
fn raw_names(names: &[(u8, &[u8])]) -> CustomExtension {
    let short = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let each = names.iter();
    let all = each.flat_map(|(tag, name)| [&[*tag, short(name)], *name].concat());
    let all: Vec<u8> = all.collect();
    assert!(all.len() < 128);
    let content = [&[0x30, short(&all)], all.as_slice()].concat();
    CustomExtension::from_oid_content(&[2, 5, 29, 17], content)
}

fn alternative_name(name: &str) -> SanType {
    if name.contains("://") {
        SanType::URI(name.try_into().unwrap())
    } else {
        SanType::DnsName(name.try_into().unwrap())
    }
}
