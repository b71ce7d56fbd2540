//! Certificates and connections for the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData,
    RevocationReason, RevokedCertParams, SanType, SerialNumber,
};
use rustls::{ClientConnection, Connection, ServerConnection};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use crate::config::Direction;
use crate::endpoint::Endpoint;

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
        }
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let (params, key) = authority(name);
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
        params.subject_alt_names = says
            .names
            .iter()
            .map(|name| alternative_name(name))
            .collect();
        params.extended_key_usages.clone_from(&says.usages);
        params.not_before = OffsetDateTime::now_utc() + DAY * i32::try_from(says.valid.0).unwrap();
        params.not_after = OffsetDateTime::now_utc() + DAY * i32::try_from(says.valid.1).unwrap();
        params.serial_number = Some(SerialNumber::from(says.serial));
        params.signed_by(key, &self.issuer).unwrap()
    }

    pub(crate) fn revoke(&self, serials: &[u64]) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: OffsetDateTime::now_utc() - DAY,
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: OffsetDateTime::now_utc() - DAY,
            next_update: OffsetDateTime::now_utc() + DAY,
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

fn alternative_name(name: &str) -> SanType {
    if name.contains("://") {
        SanType::URI(name.try_into().unwrap())
    } else {
        SanType::DnsName(name.try_into().unwrap())
    }
}

/// Files of one end, in a directory of its own.
pub(crate) struct Files {
    directory: TempDir,
}

impl Files {
    pub(crate) fn new(leaf: &Leaf, ca: &str) -> Self {
        let files = Self {
            directory: TempDir::new().unwrap(),
        };
        files.write("chain.pem", &leaf.certificate);
        files.write("key.pem", &leaf.key);
        files.write("ca.pem", ca);
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A configuration with these files; `peer` and `tls` are more members, with a comma in front.
    pub(crate) fn config(&self, peer: &str, tls: &str) -> String {
        let path = |name: &str| quoted(&self.path(name));
        format!(
            r#"{{"identity": {{"certificate_chain": {}, "private_key": {}}},
                "peer": {{"ca": {} {peer}}}, "tls": {{"resumption": true {tls}}}}}"#,
            path("chain.pem"),
            path("key.pem"),
            path("ca.pem"),
        )
    }
}

fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

/// Both ends, with one authority.
pub(crate) struct Ends {
    pub(crate) server: Arc<Endpoint>,
    pub(crate) client: Arc<Endpoint>,
    pub(crate) server_files: Files,
    pub(crate) client_files: Files,
    pub(crate) authority: Authority,
}

impl Ends {
    pub(crate) fn new() -> Self {
        Self::with("", "", &Says::default())
    }

    /// With more members of the server's `peer` and of both `tls`, and what the client says.
    pub(crate) fn with(peer: &str, tls: &str, client: &Says) -> Self {
        let authority = Authority::new("authority");
        let server_files = Files::new(&authority.issue(&Says::default()), authority.pem());
        let client_files = Files::new(&authority.issue(client), authority.pem());
        let server = endpoint(&server_files.config(peer, tls), Direction::Downstream);
        let named = r#", "server_name": "service.demo""#;
        let alpn = format!(r#", "alpn": ["h2"]{tls}"#);
        let client = endpoint(&client_files.config(named, &alpn), Direction::Upstream);
        Self {
            server,
            client,
            server_files,
            client_files,
            authority,
        }
    }
}

pub(crate) fn endpoint(config: &str, direction: Direction) -> Arc<Endpoint> {
    Arc::new(Endpoint::load(b"tls", config.as_bytes(), direction).unwrap())
}

/// Runs a handshake between two ends that nothing else touches.
pub(crate) fn handshake(
    client: &Endpoint,
    server: &Endpoint,
) -> (ClientConnection, ServerConnection) {
    let Connection::Client(mut client) = client.current().open().unwrap() else {
        panic!("not a client")
    };
    let Connection::Server(mut server) = server.current().open().unwrap() else {
        panic!("not a server")
    };
    while client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        feed(&bytes, &mut |bytes| server.read_tls(bytes));
        server.process_new_packets().unwrap();
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        feed(&bytes, &mut |bytes| client.read_tls(bytes));
        client.process_new_packets().unwrap();
    }
    (client, server)
}

fn feed(mut bytes: &[u8], read: &mut dyn FnMut(&mut dyn std::io::Read) -> std::io::Result<usize>) {
    while !bytes.is_empty() {
        read(&mut bytes).unwrap();
    }
}
