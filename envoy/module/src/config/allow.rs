//! The list of those whose certificate is accepted.

use tls_session_binding_client::CertificateThumbprint;

use super::section::Section;
use crate::certificate::{Certificate, is_dns_name};
use crate::spiffe::SpiffeId;

/// Who is accepted: a certificate that matches one entry of any of the lists.
#[derive(Debug, Clone, Default)]
pub struct AllowList {
    spiffe_ids: Vec<SpiffeId>,
    dns_names: Vec<String>,
    thumbprints: Vec<CertificateThumbprint>,
}

impl AllowList {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let spiffe_ids = entries(section, "spiffe_ids", "SPIFFE IDs", SpiffeId::parse);
        let dns_names = entries(section, "dns_names", "DNS names", |name| {
            is_dns_name(name).then(|| name.to_owned())
        });
        let thumbprints = entries(
            section,
            "thumbprints",
            "base64url SHA-256 thumbprints",
            |text| CertificateThumbprint::parse(text.as_bytes()).ok(),
        );
        Self {
            spiffe_ids,
            dns_names,
            thumbprints,
        }
    }

    /// The SPIFFE IDs on the list.
    #[must_use]
    pub fn spiffe_ids(&self) -> &[SpiffeId] {
        &self.spiffe_ids
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
                .is_some_and(|id| self.spiffe_ids.contains(id))
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

/// The member `key`: a list of texts, each read by `parse`. One that nothing could match is a mistake.
fn entries<T>(
    section: &mut Section<'_>,
    key: &str,
    what: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let texts: Vec<String> = section
        .value(key, &format!("a list of {what}"))
        .unwrap_or_default();
    let parse = |text: &String| {
        let parsed = parse(text);
        if parsed.is_none() {
            section.mistake(key, &format!("`{text}` is none of the {what}"));
        }
        parsed
    };
    texts.iter().filter_map(parse).collect()
}
