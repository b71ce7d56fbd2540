//! The confirmation claim `cnf` (RFC 7800) of an access token (draft section 2.4, V-c, V-d).

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::digest::CertificateThumbprint;
use crate::error::ClientFault;
use crate::exporter;
use crate::host_map::{HostMap, Property};
use crate::json::Object;
use crate::numeric_date::present;

/// Members of `cnf` that confirm possession of a key in a way this verifier cannot check (RFC 7800
/// section 3, RFC 9449 section 6.1). A token that has one is refused, not taken as unbound.
const UNSUPPORTED_MEMBERS: [&str; 5] = ["jkt", "jwk", "jwe", "jku", "kid"];

/// What a token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// Nothing this verifier knows: a plain Bearer token.
    None,
    /// A client certificate (RFC 8705): `x5t#S256` alone.
    Certificate(CertificateThumbprint),
    /// A client certificate and, by a proof, the TLS connection: `x5t#S256` and `tls_exp`.
    Session(CertificateThumbprint),
}

impl Confirmation {
    /// Reads `cnf` as it stands in a JWT. Unknown members are ignored (RFC 7800 section 3.1); every
    /// known one counts.
    ///
    /// # Errors
    /// [`ClientFault::ConfirmationUnreadable`] for a value of the wrong type,
    /// [`ClientFault::ConfirmationUnsupported`], [`ClientFault::ExporterLabelUnknown`],
    /// [`ClientFault::ConfirmationIncomplete`].
    pub fn from_json(cnf: serde_json::Value) -> Result<Self, ClientFault> {
        let Object(members): Object<Members> =
            serde_json::from_value(cnf).map_err(|_| ClientFault::ConfirmationUnreadable)?;
        let unsupported = [
            members.jkt,
            members.jwk,
            members.jwe,
            members.jku,
            members.kid,
        ];
        let unsupported = unsupported.iter().any(Option::is_some);
        Self::from_members(
            members.thumbprint.as_deref().map(str::as_bytes),
            members.label.as_deref().map(str::as_bytes),
            unsupported,
        )
    }

    /// Reads `cnf` as the host writes it when another filter verified the token.
    ///
    /// The host writes a list like a map of empty values, so such a map is refused: nobody knows which it is.
    ///
    /// # Errors
    /// [`ClientFault::ConfirmationUnreadable`] for what is no map, or may be a list; else as
    /// [`Self::from_json`].
    pub fn from_property(cnf: Property) -> Result<Self, ClientFault> {
        let unreadable = ClientFault::ConfirmationUnreadable;
        let bytes = match cnf {
            Property::Absent => return Ok(Self::None),
            Property::Unreadable => return Err(unreadable),
            Property::Bytes(bytes) => bytes,
        };
        let cnf = HostMap::parse(&bytes).ok_or(unreadable)?;
        if cnf.may_be_a_list() {
            return Err(unreadable);
        }
        let unsupported = UNSUPPORTED_MEMBERS
            .iter()
            .any(|member| cnf.get(member).is_some());
        Self::from_members(cnf.get("x5t#S256"), cnf.get("tls_exp"), unsupported)
    }

    /// Judges the bytes of `x5t#S256` and `tls_exp`, and whether any of [`UNSUPPORTED_MEMBERS`] is there.
    fn from_members(
        thumbprint: Option<&[u8]>,
        label: Option<&[u8]>,
        unsupported: bool,
    ) -> Result<Self, ClientFault> {
        if unsupported {
            return Err(ClientFault::ConfirmationUnsupported);
        }
        let thumbprint = thumbprint
            .map(CertificateThumbprint::parse)
            .transpose()
            .map_err(|_| ClientFault::ConfirmationUnreadable)?;
        let session = match label {
            None => false,
            Some(label) if label == exporter::LABEL.as_bytes() => true,
            Some(_) => return Err(ClientFault::ExporterLabelUnknown),
        };
        match (thumbprint, session) {
            (None, false) => Ok(Self::None),
            (None, true) => Err(ClientFault::ConfirmationIncomplete),
            (Some(thumbprint), false) => Ok(Self::Certificate(thumbprint)),
            (Some(thumbprint), true) => Ok(Self::Session(thumbprint)),
        }
    }
}

#[derive(Deserialize)]
struct Members {
    #[serde(rename = "x5t#S256", default, deserialize_with = "present")]
    thumbprint: Option<String>,
    #[serde(rename = "tls_exp", default, deserialize_with = "present")]
    label: Option<String>,
    #[serde(default, deserialize_with = "present")]
    jkt: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    jwk: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    jwe: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    jku: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    kid: Option<IgnoredAny>,
}
