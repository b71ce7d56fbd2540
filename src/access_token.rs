//! The access token: its syntax (RFC 6750 section 2.1), its hash (`ath`), and whether it is a JWT.

use std::fmt;

use serde::Deserialize;

use crate::base64url;
use crate::claims::TokenClaims;
use crate::digest::AccessTokenHash;
use crate::error::ClientFault;
use crate::json;
use crate::limits::{MAX_ACCESS_TOKEN_BYTES, MAX_TOKEN_JSON_DEPTH};
use crate::proof;

/// A presented access token. It is a secret: `Debug` shows nothing of it.
#[derive(Clone, Copy)]
pub struct AccessToken<'a>(&'a str);

impl<'a> AccessToken<'a> {
    /// Takes a token of `b64token` syntax.
    ///
    /// Nothing else of it is checked: its signature, issuer and audience are the business of the filter
    /// that validates tokens (V-b).
    ///
    /// # Errors
    /// [`ClientFault::AuthorizationMalformed`], [`ClientFault::AccessTokenTooLong`].
    pub fn parse(text: &'a str) -> Result<Self, ClientFault> {
        if text.len() > MAX_ACCESS_TOKEN_BYTES {
            return Err(ClientFault::AccessTokenTooLong);
        }
        let is_b64 = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let body = text.trim_end_matches('=');
        if body.is_empty() || !body.bytes().all(is_b64) {
            return Err(ClientFault::AuthorizationMalformed);
        }
        Ok(Self(text))
    }

    /// The token as presented.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// SHA-256 of the token, as `ath` carries it.
    ///
    /// ```
    /// use tls_session_binding::access_token::AccessToken;
    ///
    /// let token = AccessToken::parse("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU").unwrap();
    /// // RFC 9449 section 7.1 hashes the same token the same way.
    /// assert_eq!(token.hash().to_base64url(), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    /// ```
    #[must_use]
    pub fn hash(&self) -> AccessTokenHash {
        AccessTokenHash::of_token(self.0)
    }

    /// Reads the claims of a JWT access token, without verifying it (V-b is another filter's).
    ///
    /// # Errors
    /// [`ClientFault::AccessTokenUnreadable`] for anything but a signed JWT with readable claims, and
    /// for a session-binding proof in the token's place (RFC 8725 section 2.8); the faults of
    /// [`TokenClaims::from_json`].
    pub fn claims(&self) -> Result<TokenClaims, ClientFault> {
        let unreadable = ClientFault::AccessTokenUnreadable;
        let parts = Parts::of(self.0).ok_or(unreadable)?;
        let header: Header = json::parse_object_of_depth(&parts.header, MAX_TOKEN_JSON_DEPTH)
            .map_err(|_| unreadable)?;
        if header.typ.is_some_and(|typ| proof::is_proof_type(&typ)) {
            return Err(unreadable);
        }
        TokenClaims::from_json(&parts.payload)
    }

    /// Whether it has the shape of a signed JWT, readable or not; any other token is opaque.
    #[must_use]
    pub fn is_jwt(&self) -> bool {
        is_jwt(self.0)
    }
}

/// Whether a text has three parts of which the first two are JSON objects, or begin as such.
pub(crate) fn is_jwt(text: &str) -> bool {
    let is_object = |part: &[u8]| part.trim_ascii_start().starts_with(b"{");
    Parts::of(text).is_some_and(|parts| is_object(&parts.header) && is_object(&parts.payload))
}

/// Header and payload of a compact JWS (RFC 7515 section 7.1), decoded.
struct Parts {
    header: Vec<u8>,
    payload: Vec<u8>,
}

impl Parts {
    fn of(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (header, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self {
            header: base64url::decode(header.as_bytes()).ok()?,
            payload: base64url::decode(payload.as_bytes()).ok()?,
        })
    }
}

impl fmt::Debug for AccessToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessToken(redacted)")
    }
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    typ: Option<String>,
}
