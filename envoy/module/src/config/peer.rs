//! What is asked of the other end.

use std::path::PathBuf;

use rustls_pki_types::{DnsName, ServerName};

use super::Direction;
use super::allow::AllowList;
use super::section::Section;
use crate::spiffe::TrustDomain;

/// What is asked of the other end's certificate.
#[derive(Debug)]
pub struct Peer {
    /// Authorities that may have issued it: one bundle, or one for each trust domain.
    pub bundles: Vec<Bundle>,
    /// PEM files of revocation lists; when there are any, every issuer needs a current one.
    pub crls: Vec<PathBuf>,
    /// Whether a handshake without one is refused.
    pub certificate: Presence,
    /// The server's name: required in its certificate, and asked for if `sni` is none. Upstream only.
    pub server_name: Option<ServerName<'static>>,
    /// The name that the server is asked for (SNI). Upstream only.
    pub sni: Option<ServerName<'static>>,
    /// Who it may be; empty means anyone whom the authorities vouch for.
    pub allow: AllowList,
}

/// A file of authorities.
#[derive(Debug)]
pub struct Bundle {
    /// The trust domain that the authorities may vouch for; without one, any name at all.
    pub domain: Option<TrustDomain>,
    /// PEM.
    pub path: PathBuf,
}

impl Bundle {
    /// The key of the configuration that names the file.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.domain {
            Some(domain) => format!("peer.trust_domains.{domain}"),
            None => "peer.ca".to_owned(),
        }
    }
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
    pub(super) fn read(section: &mut Section<'_>, direction: Direction) -> Self {
        let bundles = bundles(section);
        let crls = section
            .value("crls", "a list of paths of PEM files")
            .unwrap_or_default();
        let allow = AllowList::read(&mut section.section("allow"));
        let (certificate, server_name, sni) = match direction {
            Direction::Downstream => (presence(section), None, None),
            Direction::Upstream => (Presence::Required, server_name(section), sni(section)),
        };
        refuse_foreign_ids(section, &allow, &bundles);
        if direction == Direction::Upstream && server_name.is_none() && allow.is_empty() {
            section.mistake(
                "server_name",
                "is missing: without it `allow` says who the server is",
            );
        }
        Self {
            bundles,
            crls,
            certificate,
            server_name,
            sni,
            allow,
        }
    }
}

fn bundles(section: &mut Section<'_>) -> Vec<Bundle> {
    const FILE: &str = "the path of a PEM file";
    if !section.has("trust_domains") {
        let path = section.required("ca", FILE);
        return path
            .map(|path| Bundle { domain: None, path })
            .into_iter()
            .collect();
    }
    if section.value::<PathBuf>("ca", FILE).is_some() {
        section.mistake(
            "ca",
            "excludes `trust_domains`: it would vouch for every domain",
        );
    }
    let mut domains = section.section("trust_domains");
    let names = domains.keys();
    if names.is_empty() {
        section.mistake("trust_domains", "at least one is needed");
    }
    names
        .iter()
        .filter_map(|name| domain(&mut domains, name))
        .collect()
}

fn domain(domains: &mut Section<'_>, name: &str) -> Option<Bundle> {
    let domain = TrustDomain::parse(name);
    if domain.is_none() {
        domains.mistake(
            name,
            "is no name of a trust domain, such as `cluster.local`",
        );
    }
    let path = domains.value(name, "the path of a PEM file")?;
    Some(Bundle {
        domain: Some(domain?),
        path,
    })
}

/// An allowed ID of a domain without a bundle could never be accepted.
fn refuse_foreign_ids(section: &Section<'_>, allow: &AllowList, bundles: &[Bundle]) {
    let known = |domain: &TrustDomain| {
        let mut domains = bundles.iter().map(|bundle| bundle.domain.as_ref());
        domains.any(|one| one.is_none_or(|one| one == domain))
    };
    for id in allow.spiffe_ids() {
        if !bundles.is_empty() && !known(id.trust_domain()) {
            let what = format!(
                "`{}` is of a domain that `trust_domains` does not have",
                id.as_str()
            );
            section.mistake("allow.spiffe_ids", &what);
        }
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

fn sni(section: &mut Section<'_>) -> Option<ServerName<'static>> {
    let name: String = section.value("sni", "a DNS name")?;
    let parsed = DnsName::try_from(name).ok().map(ServerName::DnsName);
    if parsed.is_none() {
        section.mistake("sni", "expected a DNS name");
    }
    parsed
}
