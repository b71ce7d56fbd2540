//! What is asked of the other end.

use std::path::PathBuf;

use rustls_pki_types::ServerName;

use super::Direction;
use super::allow::AllowList;
use super::section::Section;

/// What is asked of the other end's certificate.
#[derive(Debug)]
pub struct Peer {
    /// PEM bundle of the authorities that may have issued it.
    pub ca: PathBuf,
    /// PEM files of revocation lists; when there are any, every issuer needs a current one.
    pub crls: Vec<PathBuf>,
    /// Whether a handshake without one is refused.
    pub certificate: Presence,
    /// The server's name: asked for (SNI), and required in its certificate. Upstream only.
    pub server_name: Option<ServerName<'static>>,
    /// Who it may be; empty means anyone whom the authorities vouch for.
    pub allow: AllowList,
}

/// Whether the other end must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Without it the handshake is refused.
    Required,
    /// Without it the handshake goes on, and `none` is published as the client certificate.
    Optional,
}

impl Peer {
    pub(super) fn read(section: &mut Section<'_>, direction: Direction) -> Option<Self> {
        let ca = section.required("ca", "the path of a PEM file");
        let crls = section
            .value("crls", "a list of paths of PEM files")
            .unwrap_or_default();
        let allow = AllowList::read(&mut section.section("allow"));
        let (certificate, server_name) = match direction {
            Direction::Downstream => (presence(section), None),
            Direction::Upstream => (Presence::Required, server_name(section)),
        };
        if direction == Direction::Upstream && server_name.is_none() && allow.is_empty() {
            section.mistake(
                "server_name",
                "is missing: without it `allow` says who the server is",
            );
        }
        Some(Self {
            ca: ca?,
            crls,
            certificate,
            server_name,
            allow,
        })
    }
}

fn presence(section: &mut Section<'_>) -> Presence {
    section
        .value("certificate", "`required` or `optional`")
        .unwrap_or(Presence::Required)
}

fn server_name(section: &mut Section<'_>) -> Option<ServerName<'static>> {
    let name: String = section.value("server_name", "a DNS name or an IP address")?;
    let parsed = ServerName::try_from(name).ok();
    if parsed.is_none() {
        section.mistake("server_name", "expected a DNS name or an IP address");
    }
    parsed
}
