//! What binding needs of a token's claims (RFC 7519 section 4.1), from the token itself or from a filter
//! that verified it. Nothing here is verified.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::confirmation::Confirmation;
use crate::error::{ClientFault, HostFault, Refusal};
use crate::host_map::Property;
use crate::json;
use crate::limits::{MAX_TOKEN_JSON_DEPTH, TOKEN_CLOCK_TOLERANCE};
use crate::numeric_date::{NumericDate, present};

/// A token's confirmation and expiry, and what tells it from other tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// `exp` in seconds since 1970.
    pub expires: Option<u64>,
    /// `cnf`.
    pub confirmation: Confirmation,
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `jti`.
    pub id: Option<String>,
    /// `iat` in seconds since 1970.
    pub issued_at: Option<u64>,
}

impl TokenClaims {
    /// Reads the payload of a JWT.
    ///
    /// # Errors
    /// [`ClientFault::AccessTokenUnreadable`] for a payload that is no claims set or a claim of the wrong
    /// type; the faults of [`Confirmation::from_json`].
    pub fn from_json(payload: &[u8]) -> Result<Self, ClientFault> {
        let claims: RawClaims = json::parse_object_of_depth(payload, MAX_TOKEN_JSON_DEPTH)
            .map_err(|_| ClientFault::AccessTokenUnreadable)?;
        let confirmation = match claims.cnf {
            None => Confirmation::None,
            Some(cnf) => Confirmation::from_json(cnf)?,
        };
        Ok(Self {
            expires: claims.exp.map(NumericDate::floor),
            confirmation,
            issuer: claims.iss,
            subject: claims.sub,
            id: claims.jti,
            issued_at: claims.iat.map(NumericDate::floor),
        })
    }

    /// Reads what another filter verified and published, member by member.
    ///
    /// # Errors
    /// [`HostFault::ConfirmationSourceMissing`] if the host cannot read members that every such filter has
    /// verified to be texts and numbers, [`ClientFault::AccessTokenUnreadable`] for a claim of the wrong type;
    /// the faults of [`Confirmation::from_property`].
    pub fn from_host(member: impl Fn(&str) -> Property) -> Result<Self, Refusal> {
        let unreadable = Refusal::Client(ClientFault::AccessTokenUnreadable);
        let bytes = |name| match member(name) {
            Property::Absent => Ok(None),
            Property::Bytes(bytes) => Ok(Some(bytes)),
            Property::Unreadable => Err(Refusal::Host(HostFault::ConfirmationSourceMissing)),
        };
        let text = |name| {
            let text = bytes(name)?.map(String::from_utf8).transpose();
            text.map_err(|_| unreadable)
        };
        let date = |name| {
            let bytes = bytes(name)?;
            let date = bytes.map(|bytes| NumericDate::from_host(&bytes).ok_or(unreadable));
            date.transpose().map(|date| date.map(NumericDate::floor))
        };
        // The confirmation last: whether the host reads at all is known by then.
        Ok(Self {
            expires: date("exp")?,
            issuer: text("iss")?,
            subject: text("sub")?,
            id: text("jti")?,
            issued_at: date("iat")?,
            confirmation: Confirmation::from_property(member("cnf"))?,
        })
    }
}

impl TokenClaims {
    /// The last second, since 1970, at which a token with these claims is accepted if it is bound.
    #[must_use]
    pub fn last_second(&self) -> u64 {
        let last = |expires: u64| expires.saturating_add(TOKEN_CLOCK_TOLERANCE);
        self.expires.map_or(u64::MAX, last)
    }

    /// Bytes of the texts in it.
    pub(crate) fn bytes(&self) -> usize {
        self.texts().into_iter().flatten().map(String::len).sum()
    }

    /// Hashes all of it, with the length of each text.
    pub(crate) fn update(&self, hash: &mut Sha256) {
        for text in self.texts() {
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            hash.update(length.to_le_bytes());
            hash.update(text.map_or("", String::as_str));
        }
        for date in [self.expires, self.issued_at] {
            hash.update(date.unwrap_or(u64::MAX).to_le_bytes());
        }
        let (kind, thumbprint) = match &self.confirmation {
            Confirmation::None => (0, None),
            Confirmation::Certificate(thumbprint) => (1, Some(thumbprint)),
            Confirmation::Session(thumbprint) => (2, Some(thumbprint)),
        };
        hash.update([kind]);
        hash.update(thumbprint.map_or([0; 32], |thumbprint| *thumbprint.as_bytes()));
    }

    fn texts(&self) -> [Option<&String>; 3] {
        [&self.issuer, &self.subject, &self.id].map(Option::as_ref)
    }
}

#[derive(Deserialize)]
struct RawClaims {
    #[serde(default, deserialize_with = "present")]
    exp: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    iat: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "present")]
    sub: Option<String>,
    #[serde(default, deserialize_with = "present")]
    jti: Option<String>,
    #[serde(default, deserialize_with = "present")]
    cnf: Option<serde_json::Value>,
}
