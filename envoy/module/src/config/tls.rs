//! Policy for TLS itself.

use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use super::Direction;
use super::section::Section;

/// Accepted versions, TLS 1.3 alone by default: 1.2 only for peers that have nothing better.
const VERSIONS: [&str; 1] = ["1.3"];
/// Key exchange groups by default, the most wanted first: post-quantum hybrid where both ends can.
const GROUPS: [&str; 4] = ["X25519MLKEM768", "X25519", "secp256r1", "secp384r1"];

/// Cipher suites by default, the most wanted first. All are sound. AES-128-GCM comes first: in
/// TLS 1.3 it goes with SHA-256, which makes a handshake tens of microseconds cheaper than SHA-384.
const CIPHER_SUITES: [&str; 9] = [
    "TLS13_AES_128_GCM_SHA256",
    "TLS13_AES_256_GCM_SHA384",
    "TLS13_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Application protocols of a listener by default.
const ALPN: [&str; 2] = ["h2", "http/1.1"];

/// Policy for TLS itself.
#[derive(Debug)]
pub struct Tls {
    /// Accepted versions.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// Accepted cipher suites, the most wanted first.
    pub cipher_suites: Vec<SupportedCipherSuite>,
    /// Accepted key exchange groups, the most wanted first.
    pub groups: Vec<&'static dyn SupportedKxGroup>,
    /// Application protocols, the most wanted first.
    pub alpn: Vec<String>,
    /// Whether sessions may be resumed.
    pub resumption: bool,
}

impl Tls {
    pub(super) fn read(section: &mut Section<'_>, direction: Direction) -> Self {
        let versions = list(section, "versions", &VERSIONS, supported_version);
        let cipher_suites = list(section, "cipher_suites", &CIPHER_SUITES, supported_suite);
        let groups = list(section, "groups", &GROUPS, supported_group);
        let alpn = alpn(section, direction);
        let resumption = section.value("resumption", "true or false").unwrap_or(true);
        Self {
            versions,
            cipher_suites,
            groups,
            alpn,
            resumption,
        }
    }

    /// The cryptography, with what this policy accepts and no more.
    #[must_use]
    pub fn provider(&self) -> CryptoProvider {
        CryptoProvider {
            cipher_suites: self.cipher_suites.clone(),
            kx_groups: self.groups.clone(),
            ..aws_lc_rs::default_provider()
        }
    }
}

fn alpn(section: &mut Section<'_>, direction: Direction) -> Vec<String> {
    let alpn: Option<Vec<String>> = section.value("alpn", "a list of protocol names");
    match (direction, alpn) {
        (Direction::Downstream, None) => ALPN.map(str::to_owned).to_vec(),
        (Direction::Downstream, Some(alpn)) if !alpn.is_empty() => alpn,
        (Direction::Upstream, Some(alpn)) if alpn.len() == 1 => alpn,
        (Direction::Downstream, Some(_)) => {
            section.mistake("alpn", "at least one is needed");
            Vec::new()
        }
        (Direction::Upstream, _) => {
            // Envoy decides before the handshake what it speaks to a cluster.
            section.mistake(
                "alpn",
                "name the one protocol of the cluster, `h2` or `http/1.1`",
            );
            Vec::new()
        }
    }
}

/// The member `key`: names of a list, each turned into a value by `find`.
fn list<T>(
    section: &mut Section<'_>,
    key: &str,
    default: &[&str],
    find: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let names: Vec<String> = section
        .value(key, "a list of names")
        .unwrap_or_else(|| default.iter().map(|&name| name.to_owned()).collect());
    if names.is_empty() {
        section.mistake(key, "at least one is needed");
    }
    let find = |name: &String| {
        let found = find(name);
        if found.is_none() {
            section.mistake(key, &format!("`{name}` is not supported"));
        }
        found
    };
    names.iter().filter_map(find).collect()
}

fn supported_version(name: &str) -> Option<&'static SupportedProtocolVersion> {
    match name {
        "1.3" => Some(&rustls::version::TLS13),
        "1.2" => Some(&rustls::version::TLS12),
        _ => None,
    }
}

fn supported_suite(name: &str) -> Option<SupportedCipherSuite> {
    let named = |suite: &&SupportedCipherSuite| suite.suite().as_str() == Some(name);
    aws_lc_rs::DEFAULT_CIPHER_SUITES.iter().find(named).copied()
}

fn supported_group(name: &str) -> Option<&'static dyn SupportedKxGroup> {
    let named = |group: &&&dyn SupportedKxGroup| format!("{:?}", group.name()) == name;
    aws_lc_rs::ALL_KX_GROUPS.iter().find(named).copied()
}
