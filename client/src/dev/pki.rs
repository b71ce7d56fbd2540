//! A development CA and its certificates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use p256::pkcs8::der::pem::LineEnding;
use p256::pkcs8::{PrivateKeyInfo, SecretDocument};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize, SanType,
};
use time::{Duration, OffsetDateTime};
use x509_cert::der::DecodePem as _;

use super::{DevError, files};

const CA_NAME: &str = "Session Binding Development CA";
/// Short enough to be of no use when leaked, long enough not to expire in the middle of work.
const VALIDITY: Duration = Duration::days(90);
/// A PKI with less left than this is made anew.
const RENEW_BEFORE: Duration = Duration::days(1);
/// Accepted difference between the clocks of those who use the certificates.
const BACKDATE: Duration = Duration::hours(1);

/// One certificate of the PKI.
struct Leaf {
    name: &'static str,
    key: KeyKind,
    role: Role,
}

#[derive(Clone, Copy)]
enum KeyKind {
    P256,
    P384,
    Rsa2048,
    Ed25519,
}

#[derive(Clone, Copy)]
enum Role {
    /// For `localhost`, the loopback addresses and `service.demo`.
    Server,
    /// A client by its SPIFFE ID.
    Client(&'static str),
}

const LEAVES: [Leaf; 6] = [
    Leaf {
        name: "server",
        key: KeyKind::P256,
        role: Role::Server,
    },
    Leaf {
        name: "client",
        key: KeyKind::P256,
        role: Role::Client("spiffe://demo/agent"),
    },
    Leaf {
        name: "client-p384",
        key: KeyKind::P384,
        role: Role::Client("spiffe://demo/agent-p384"),
    },
    Leaf {
        name: "client-rsa",
        key: KeyKind::Rsa2048,
        role: Role::Client("spiffe://demo/agent-rsa"),
    },
    Leaf {
        name: "client-ed25519",
        key: KeyKind::Ed25519,
        role: Role::Client("spiffe://demo/agent-ed25519"),
    },
    Leaf {
        name: "thief",
        key: KeyKind::P256,
        role: Role::Client("spiffe://demo/thief"),
    },
];

/// What [`ensure`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// New keys and certificates were written.
    Made,
    /// The existing ones are complete and valid for another day at least.
    Kept,
}

/// Makes sure that `directory` holds a valid development PKI.
///
/// `ca`, `server` (P-256; `127.0.0.1`, `::1`, `localhost`, `service.demo`) and the clients `client`
/// (P-256), `client-p384`, `client-rsa` (2048 bits), `client-ed25519`, `thief` (P-256), each as
/// `.pem` and `.key` (PKCS#8, readable by the owner only). Clients are named by a SPIFFE ID.
///
/// A complete PKI that is valid for another day is kept, unless `force`d.
///
/// # Errors
/// [`DevError::ForeignPki`] when `ca.pem` is of another CA and not `force`d; [`DevError::File`]
/// and [`DevError::Generation`] when it cannot be made.
pub fn ensure(directory: &Path, force: bool) -> Result<Outcome, DevError> {
    let now = OffsetDateTime::now_utc();
    if !force {
        refuse_foreign_ca(directory)?;
        if is_valid_until(directory, now + RENEW_BEFORE) {
            return Ok(Outcome::Kept);
        }
    }
    files::make_directory(directory)?;
    generate(directory, now)?;
    Ok(Outcome::Made)
}

fn generate(directory: &Path, now: OffsetDateTime) -> Result<(), DevError> {
    let ca = CertifiedIssuer::self_signed(ca_parameters(now), new_key(KeyKind::P256)?)?;
    write_pair(directory, "ca", &ca.pem(), ca.key())?;
    for leaf in LEAVES {
        let key = new_key(leaf.key)?;
        let certificate = leaf_parameters(&leaf, now)?.signed_by(&key, &ca)?;
        write_pair(directory, leaf.name, &certificate.pem(), &key)?;
    }
    Ok(())
}

fn new_key(kind: KeyKind) -> Result<KeyPair, rcgen::Error> {
    match kind {
        KeyKind::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyKind::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        KeyKind::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        KeyKind::Ed25519 => KeyPair::generate_for(&PKCS_ED25519),
    }
}

fn ca_parameters(now: OffsetDateTime) -> CertificateParams {
    let mut parameters = parameters(CA_NAME, now);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn leaf_parameters(leaf: &Leaf, now: OffsetDateTime) -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = parameters(leaf.name, now);
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let (usage, names) = match leaf.role {
        Role::Server => (ExtendedKeyUsagePurpose::ServerAuth, server_names()?),
        Role::Client(id) => (
            ExtendedKeyUsagePurpose::ClientAuth,
            vec![SanType::URI(id.try_into()?)],
        ),
    };
    parameters.extended_key_usages = vec![usage];
    parameters.subject_alt_names = names;
    Ok(parameters)
}

fn server_names() -> Result<Vec<SanType>, rcgen::Error> {
    Ok(vec![
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        SanType::DnsName("localhost".try_into()?),
        SanType::DnsName("service.demo".try_into()?),
    ])
}

fn parameters(common_name: &str, now: OffsetDateTime) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = name;
    parameters.not_before = now - BACKDATE;
    parameters.not_after = now + VALIDITY;
    parameters
}

fn write_pair(
    directory: &Path,
    name: &str,
    certificate: &str,
    key: &KeyPair,
) -> Result<(), DevError> {
    files::write_private(&directory.join(format!("{name}.key")), &private_key(key)?)?;
    files::write_public(&directory.join(format!("{name}.pem")), certificate)
}

/// PKCS#8 in its first version, without the public key: not every OpenSSL reads an Ed25519 key in the second.
fn private_key(key: &KeyPair) -> Result<String, rcgen::Error> {
    let unreadable = |_| rcgen::Error::CouldNotParseKeyPair;
    let der = key.serialize_der();
    let whole = PrivateKeyInfo::try_from(&*der).map_err(unreadable)?;
    let first_version = PrivateKeyInfo::new(whole.algorithm, whole.private_key);
    let document = SecretDocument::encode_msg(&first_version);
    let pem = document.and_then(|document| document.to_pem("PRIVATE KEY", LineEnding::LF));
    Ok(pem.map_err(|error| unreadable(error.into()))?.to_string())
}

fn refuse_foreign_ca(directory: &Path) -> Result<(), DevError> {
    let ca = directory.join("ca.pem");
    let ours = format!("CN={CA_NAME}");
    match read_certificate(&ca) {
        Some(certificate) if certificate.tbs_certificate.subject.to_string() == ours => Ok(()),
        None if !ca.exists() => Ok(()),
        _ => Err(DevError::ForeignPki(directory.to_owned())),
    }
}

fn is_valid_until(directory: &Path, time: OffsetDateTime) -> bool {
    let Ok(time) = u64::try_from(time.unix_timestamp()) else {
        return false;
    };
    LEAVES
        .iter()
        .map(|leaf| leaf.name)
        .chain(["ca"])
        .all(|name| {
            let expiry =
                read_certificate(&directory.join(format!("{name}.pem"))).map(|certificate| {
                    certificate
                        .tbs_certificate
                        .validity
                        .not_after
                        .to_unix_duration()
                        .as_secs()
                });
            directory.join(format!("{name}.key")).exists() && expiry.is_some_and(|at| at > time)
        })
}

fn read_certificate(path: &Path) -> Option<x509_cert::Certificate> {
    x509_cert::Certificate::from_pem(files::read(path).ok()?).ok()
}
