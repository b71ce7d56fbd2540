//! The list of those whose certificate is accepted.

use tls_session_binding_client::CertificateThumbprint;

use super::section::Section;
use crate::certificate::Certificate;

/// Who is accepted: a certificate that matches one entry of any of the lists.
#[derive(Debug, Clone, Default)]
pub struct AllowList {
    spiffe_ids: Vec<String>,
    dns_names: Vec<String>,
    thumbprints: Vec<CertificateThumbprint>,
}

impl AllowList {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let spiffe_ids: Vec<String> = section
            .value("spiffe_ids", "a list of SPIFFE IDs")
            .unwrap_or_default();
        for id in spiffe_ids.iter().filter(|id| !id.starts_with("spiffe://")) {
            section.mistake(
                "spiffe_ids",
                &format!("`{id}` does not begin with `spiffe://`"),
            );
        }
        let dns_names = section
            .value("dns_names", "a list of DNS names")
            .unwrap_or_default();
        let texts: Vec<String> = section
            .value("thumbprints", "a list of base64url SHA-256 thumbprints")
            .unwrap_or_default();
        let thumbprints = texts
            .iter()
            .filter_map(|text| thumbprint(section, text))
            .collect();
        Self {
            spiffe_ids,
            dns_names,
            thumbprints,
        }
    }

    /// Whether there is no entry, so that everyone is accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spiffe_ids.is_empty() && self.dns_names.is_empty() && self.thumbprints.is_empty()
    }

    /// Whether the list accepts the holder of a certificate that the authorities vouch for.
    #[must_use]
    pub fn admits(&self, certificate: &Certificate) -> bool {
        self.is_empty()
            || certificate
                .spiffe_id()
                .is_some_and(|id| self.spiffe_ids.iter().any(|one| one == id))
            || certificate
                .dns_names()
                .iter()
                .any(|name| self.has_dns_name(name))
            || self.thumbprints.contains(certificate.thumbprint())
    }

    fn has_dns_name(&self, name: &str) -> bool {
        self.dns_names
            .iter()
            .any(|one| one.eq_ignore_ascii_case(name))
    }
}

fn thumbprint(section: &Section<'_>, text: &str) -> Option<CertificateThumbprint> {
    let parsed = CertificateThumbprint::parse(text.as_bytes()).ok();
    if parsed.is_none() {
        section.mistake(
            "thumbprints",
            &format!("`{text}` is not base64url of a SHA-256 digest"),
        );
    }
    parsed
}
