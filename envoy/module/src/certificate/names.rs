//! The alternative names of a certificate.
//!
//! They are read one by one: an authority may write names of kinds that nobody asks about in ways that
//! nobody can read. A name that cannot be read, or could be taken for two where names are joined with
//! commas, matches nothing and is published as nothing.

use x509_cert::TbsCertificate;
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME;
use x509_cert::der::{Decode as _, Tag, TagNumber, Tagged as _};

/// `dNSName` (RFC 5280 section 4.2.1.6).
const DNS_NAME: TagNumber = TagNumber::N2;
/// `uniformResourceIdentifier`.
const URI: TagNumber = TagNumber::N6;

/// URIs and DNS names.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub(super) uris: Vec<String>,
    pub(super) dns: Vec<String>,
    /// How many URIs there are, readable or not.
    pub(super) uri_count: usize,
}

impl Names {
    /// None at all where the extension is there twice or is not a list.
    pub(super) fn of(body: &TbsCertificate) -> Self {
        let extensions = body.extensions.iter().flatten();
        let mut found = extensions.filter(|one| one.extn_id == ID_CE_SUBJECT_ALT_NAME);
        let (Some(names), None) = (found.next(), found.next()) else {
            return Self::default();
        };
        let names = Vec::<AnyRef<'_>>::from_der(names.extn_value.as_bytes());
        let mut read = Self::default();
        for name in names.unwrap_or_default() {
            read.add(&name);
        }
        read
    }

    fn add(&mut self, name: &AnyRef<'_>) {
        let text = || std::str::from_utf8(name.value()).ok();
        match name.tag() {
            Tag::ContextSpecific {
                number: DNS_NAME, ..
            } => {
                self.dns
                    .extend(text().filter(|name| is_dns_name(name)).map(str::to_owned));
            }
            Tag::ContextSpecific { number: URI, .. } => {
                self.uri_count += 1;
                self.uris
                    .extend(text().filter(|uri| is_uri(uri)).map(str::to_owned));
            }
            _ => {}
        }
    }
}

/// Whether the text can be a DNS name or a wildcard of one.
pub(crate) fn is_dns_name(text: &str) -> bool {
    let spelled = |byte: u8| byte.is_ascii_alphanumeric() || b".-_*".contains(&byte);
    !text.is_empty() && text.bytes().all(spelled)
}

/// Whether the text has the characters of a URI (RFC 3986 section 2), a comma excepted.
fn is_uri(text: &str) -> bool {
    let spelled = |byte: u8| byte.is_ascii_graphic() && !b",\"<>\\^`{|}".contains(&byte);
    !text.is_empty() && text.bytes().all(spelled)
}
