//! The `Authorization` header (RFC 9110 section 11.6.2).

use crate::access_token::{AccessToken, is_jwt};
use crate::error::ClientFault;

/// What a request offers as credentials.
#[derive(Debug)]
pub enum Credentials<'a> {
    /// No `Authorization` header.
    None,
    /// Another scheme than Bearer, for other filters to judge.
    Other {
        /// The whole header value.
        authorization: &'a [u8],
    },
    /// `Bearer` with a token of the right syntax.
    Bearer {
        /// The token.
        token: AccessToken<'a>,
        /// The whole header value.
        authorization: &'a [u8],
    },
}

impl<'a> Credentials<'a> {
    /// Reads all `Authorization` values of a request.
    ///
    /// The scheme is case-insensitive (RFC 9110 section 11.1), one or more spaces follow it, and the
    /// token has `b64token` syntax (RFC 6750 section 2.1). A value that names Bearer in any other way,
    /// such as two credentials that a proxy joined with a comma, is refused.
    ///
    /// # Errors
    /// [`ClientFault::AuthorizationRepeated`], [`ClientFault::AuthorizationMalformed`],
    /// [`ClientFault::AccessTokenTooLong`].
    pub fn parse(values: &[&'a [u8]]) -> Result<Self, ClientFault> {
        match values {
            [] => Ok(Self::None),
            [value] => Self::parse_one(value),
            _ => Err(ClientFault::AuthorizationRepeated),
        }
    }

    fn parse_one(authorization: &'a [u8]) -> Result<Self, ClientFault> {
        let malformed = ClientFault::AuthorizationMalformed;
        let value = std::str::from_utf8(authorization).map_err(|_| malformed)?;
        let (scheme, credentials) = value.split_once(' ').unwrap_or((value, ""));
        if scheme.eq_ignore_ascii_case("bearer") {
            let token = AccessToken::parse(credentials.trim_matches(' '))?;
            return Ok(Self::Bearer {
                token,
                authorization,
            });
        }
        if is_token(scheme) && !names_bearer(value) {
            Ok(Self::Other { authorization })
        } else {
            Err(malformed)
        }
    }
}

/// The texts in a header value that filters may take for a signed JWT, wherever they stand: every longest
/// run of base64url characters and dots whose first two of three parts are JSON objects.
pub fn jwts_in(value: &[u8]) -> impl Iterator<Item = &str> {
    let is_in_jwt = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let runs = value.split(move |byte| !is_in_jwt(byte));
    let texts = runs.filter_map(|run| std::str::from_utf8(run).ok());
    texts.filter(|text| is_jwt(text))
}

/// Whether a filter may take what follows for a token: `Bearer`, in any letter case, and a space or tab.
fn names_bearer(value: &str) -> bool {
    const NAME: &[u8] = b"bearer";
    value.as_bytes().windows(NAME.len() + 1).any(|part| {
        let (name, behind) = part.split_at(NAME.len());
        name.eq_ignore_ascii_case(NAME) && matches!(behind, b" " | b"\t")
    })
}

/// RFC 9110 section 5.6.2 `token`.
fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}
