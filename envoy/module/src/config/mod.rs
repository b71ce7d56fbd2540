//! Configuration of a transport socket: JSON in, validated values out.

mod section;

use std::path::PathBuf;

use rustls::SupportedProtocolVersion;
pub use section::Mistakes;
use section::{Section, read_object};

/// Which end of a connection the socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Accepts connections: a TLS server.
    Downstream,
    /// Makes connections: a TLS client.
    Upstream,
}

/// What one transport socket is configured to do.
#[derive(Debug)]
pub struct Config {
    /// Own certificate and key.
    pub identity: Identity,
    /// Whom the other end must be.
    pub peer: Peer,
    /// TLS itself.
    pub tls: Tls,
}

/// Files that hold the own certificate and its key.
#[derive(Debug)]
pub struct Identity {
    /// PEM, the leaf first.
    pub certificate_chain: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC1.
    pub private_key: PathBuf,
}

/// What is asked of the other end's certificate.
#[derive(Debug)]
pub struct Peer {
    /// PEM bundle of the authorities that may have issued it.
    pub ca: PathBuf,
    /// Whether a handshake without one is refused.
    pub certificate: Presence,
}

/// Whether the other end must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Without it the handshake is refused.
    Required,
    /// Without it the handshake goes on, and an empty client certificate is published.
    Optional,
}

/// Policy for TLS itself.
#[derive(Debug)]
pub struct Tls {
    /// Accepted versions, TLS 1.3 alone by default.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// Application protocols, the most wanted first.
    pub alpn: Vec<String>,
}

impl Config {
    /// Reads and validates the JSON of `transport_socket_config`.
    ///
    /// # Errors
    /// All mistakes at once, each with the path of its key.
    pub fn parse(json: &[u8], direction: Direction) -> Result<Self, Mistakes> {
        read_object(json, |config| {
            let identity = identity(&mut config.section("identity"));
            let peer = peer(&mut config.section("peer"), direction);
            let tls = tls(&mut config.section("tls"));
            Some(Self {
                identity: identity?,
                peer: peer?,
                tls,
            })
        })
    }
}

fn identity(section: &mut Section<'_>) -> Option<Identity> {
    let certificate_chain = section.required("certificate_chain", "the path of a PEM file");
    let private_key = section.required("private_key", "the path of a PEM file");
    Some(Identity {
        certificate_chain: certificate_chain?,
        private_key: private_key?,
    })
}

fn peer(section: &mut Section<'_>, direction: Direction) -> Option<Peer> {
    let ca = section.required("ca", "the path of a PEM file");
    let certificate = section
        .value("certificate", "`required` or `optional`")
        .unwrap_or(Presence::Required);
    if direction == Direction::Upstream && certificate == Presence::Optional {
        section.mistake("certificate", "a server always shows a certificate");
    }
    Some(Peer {
        ca: ca?,
        certificate,
    })
}

fn tls(section: &mut Section<'_>) -> Tls {
    let versions = section
        .value("versions", "a list")
        .unwrap_or_else(|| vec!["1.3".to_owned()]);
    let alpn = section
        .value("alpn", "a list of protocol names")
        .unwrap_or_else(|| vec!["h2".to_owned(), "http/1.1".to_owned()]);
    Tls {
        versions: supported_versions(section, &versions),
        alpn,
    }
}

fn supported_versions(
    section: &Section<'_>,
    versions: &[String],
) -> Vec<&'static SupportedProtocolVersion> {
    if versions.is_empty() {
        section.mistake("versions", "at least one version is needed");
    }
    let supported = |version: &String| match version.as_str() {
        "1.3" => Some(&rustls::version::TLS13),
        "1.2" => Some(&rustls::version::TLS12),
        _ => {
            section.mistake(
                "versions",
                &format!("`{version}` is neither `1.3` nor `1.2`"),
            );
            None
        }
    };
    versions.iter().filter_map(supported).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str =
        r#"{"identity": {"certificate_chain": "c", "private_key": "k"}, "peer": {"ca": "a"}}"#;

    fn mistakes(json: &str, direction: Direction) -> String {
        Config::parse(json.as_bytes(), direction)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn certificate_key_and_ca_are_enough_and_the_defaults_are_the_strict_ones() {
        let config = Config::parse(MINIMAL.as_bytes(), Direction::Downstream).unwrap();
        assert_eq!(config.peer.certificate, Presence::Required);
        assert_eq!(config.tls.versions, [&rustls::version::TLS13]);
        assert_eq!(config.tls.alpn, ["h2", "http/1.1"]);
    }

    #[test]
    fn every_mistake_is_reported_at_once_with_its_path() {
        let json = r#"{"identity": {"certificate_chain": 1, "extra": {}}, "peer": {"certificate": "maybe"},
            "tls": {"versions": ["1.1"], "alpn": "h2", "ciphers": []}, "other": 1}"#;
        let found = mistakes(json, Direction::Downstream);
        for path in [
            "identity.certificate_chain: expected",
            "identity.private_key: is missing",
            "identity.extra: unknown key",
            "peer.ca: is missing",
            "peer.certificate: expected",
            "tls.versions: `1.1`",
            "tls.alpn: expected",
            "tls.ciphers: unknown key",
            "other: unknown key",
        ] {
            assert!(found.contains(path), "{path} is not in {found}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        assert!(
            mistakes(r#"{"peer": {"ca": "a", "ca": "b"}}"#, Direction::Downstream)
                .contains("twice")
        );
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for json in ["[]", "1", "{", "\"x\"", "{\"peer\": 1}", "\u{0}"] {
            assert!(
                Config::parse(json.as_bytes(), Direction::Downstream).is_err(),
                "{json}"
            );
        }
    }

    #[test]
    fn a_server_certificate_cannot_be_optional() {
        let json = MINIMAL.replace(
            "\"ca\": \"a\"",
            "\"ca\": \"a\", \"certificate\": \"optional\"",
        );
        assert!(Config::parse(json.as_bytes(), Direction::Downstream).is_ok());
        assert!(mistakes(&json, Direction::Upstream).contains("peer.certificate"));
    }
}
