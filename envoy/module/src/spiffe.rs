//! SPIFFE IDs and trust domains, as the SPIFFE-ID standard spells them (sections 2.1 to 2.4).
//!
//! What is spelled otherwise is no SPIFFE ID: whoever compares two spellings of one name would have to
//! know which of them another reader takes for the same.

use std::fmt;

const SCHEME: &str = "spiffe://";
/// SPIFFE-ID section 2.3.
const MAX_ID_BYTES: usize = 2048;
/// SPIFFE-ID section 2.3.
const MAX_DOMAIN_BYTES: usize = 255;

/// The name of a trust domain: lower-case letters, digits, dots, dashes, underscores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// Reads the bare name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let fits = (1..=MAX_DOMAIN_BYTES).contains(&name.len());
        let spelled = |byte: u8| byte.is_ascii_lowercase() || is_digit_or_mark(byte);
        (fits && name.bytes().all(spelled)).then(|| Self(name.to_owned()))
    }

    /// The trust domain that a URI is of; an authority's has no path.
    #[must_use]
    pub fn of_uri(uri: &str) -> Option<Self> {
        let name = uri.strip_prefix(SCHEME)?;
        Self::parse(name.split_once('/').map_or(name, |(domain, _)| domain))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The SPIFFE ID of a workload: it has a path (X509-SVID section 5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpiffeId {
    text: String,
    domain: TrustDomain,
}

impl SpiffeId {
    /// Reads a URI.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        let (domain, path) = uri.strip_prefix(SCHEME)?.split_once('/')?;
        let fits = uri.len() <= MAX_ID_BYTES && path.split('/').all(is_segment);
        Some(Self {
            domain: TrustDomain::parse(domain).filter(|_| fits)?,
            text: uri.to_owned(),
        })
    }

    /// The whole URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain in it.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.domain
    }
}

fn is_segment(segment: &str) -> bool {
    let spelled = |byte: u8| byte.is_ascii_alphabetic() || is_digit_or_mark(byte);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(spelled)
}

fn is_digit_or_mark(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_trust_domain_and_a_path_in_one_spelling() {
        for (id, domain) in [
            ("spiffe://demo/a", "demo"),
            ("spiffe://a-b_c.9/A/b.c/_", "a-b_c.9"),
            ("spiffe://cluster.local/ns/x/sa/y", "cluster.local"),
        ] {
            let read = SpiffeId::parse(id).unwrap();
            assert_eq!(
                (read.as_str(), read.trust_domain()),
                (id, &TrustDomain(domain.to_owned()))
            );
        }
        for other in [
            "",
            "demo/a",
            "spiffe:demo/a",
            "SPIFFE://demo/a",
            "https://demo/a",
            "spiffe://demo",
            "spiffe://demo/",
            "spiffe:///a",
            "spiffe://demo//a",
            "spiffe://demo/a/",
            "spiffe://demo/./a",
            "spiffe://demo/..",
            "spiffe://Demo/a",
            "spiffe://demo:1/a",
            "spiffe://u@demo/a",
            "spiffe://demo/a?b",
            "spiffe://demo/a#b",
            "spiffe://demo/a,b",
            "spiffe://demo/a%2fb",
            "spiffe://demo/\u{e4}",
            "spiffe://demo/a b",
            "spiffe://d\u{0}emo/a",
        ] {
            assert_eq!(SpiffeId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn an_id_and_a_trust_domain_are_bounded() {
        let id = |bytes: usize| format!("spiffe://demo/{}", "a".repeat(bytes - 14));
        assert!(SpiffeId::parse(&id(MAX_ID_BYTES)).is_some());
        assert!(SpiffeId::parse(&id(MAX_ID_BYTES + 1)).is_none());
        assert!(TrustDomain::parse(&"a".repeat(MAX_DOMAIN_BYTES)).is_some());
        assert!(TrustDomain::parse(&"a".repeat(MAX_DOMAIN_BYTES + 1)).is_none());
    }

    #[test]
    fn an_authority_has_a_trust_domain_without_a_path() {
        for uri in ["spiffe://demo", "spiffe://demo/", "spiffe://demo/a"] {
            assert_eq!(
                TrustDomain::of_uri(uri),
                TrustDomain::parse("demo"),
                "{uri}"
            );
        }
        assert_eq!(TrustDomain::of_uri("https://demo"), None);
    }
}
