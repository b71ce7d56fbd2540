//! The `Authorization` header (RFC 9110 section 11.6.2) and where else a token may hide.

use crate::access_token::AccessToken;
use crate::error::ClientFault;

/// What a request offers as credentials.
#[derive(Debug)]
pub enum Credentials<'a> {
    /// No `Authorization` header.
    None,
    /// Another scheme than Bearer, for other filters to judge.
    Other,
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
        let clean = is_token(scheme) && !contains_ignore_case(value, "bearer");
        if clean {
            Ok(Self::Other)
        } else {
            Err(malformed)
        }
    }
}

/// Refuses a request target whose query has an `access_token` parameter: another filter may take the
/// token from there, and then nothing here would have seen that it is bound.
///
/// # Errors
/// [`ClientFault::AccessTokenInQuery`].
pub fn refuse_token_in_query(path: &[u8]) -> Result<(), ClientFault> {
    let Some(question) = path.iter().position(|&byte| byte == b'?') else {
        return Ok(());
    };
    let query = path.get(question + 1..).unwrap_or_default();
    let found = query
        .split(|byte| matches!(byte, b'&' | b';' | b'#'))
        .any(names_access_token);
    if found {
        Err(ClientFault::AccessTokenInQuery)
    } else {
        Ok(())
    }
}

/// Whether a parameter's name, percent-decoded, is `access_token` in any letter case.
fn names_access_token(parameter: &[u8]) -> bool {
    let mut left = parameter
        .split(|&byte| byte == b'=')
        .next()
        .unwrap_or_default();
    for &expected in b"access_token" {
        let Some((byte, rest)) = percent_decode_first(left) else {
            return false;
        };
        if !byte.eq_ignore_ascii_case(&expected) {
            return false;
        }
        left = rest;
    }
    left.is_empty()
}

/// The first byte that `text` stands for, and what is left of it.
pub(crate) fn percent_decode_first(text: &[u8]) -> Option<(u8, &[u8])> {
    if let [b'%', high, low, rest @ ..] = text {
        let (high, low) = (
            char::from(*high).to_digit(16),
            char::from(*low).to_digit(16),
        );
        if let (Some(high), Some(low)) = (high, low) {
            return Some((u8::try_from(high * 16 + low).ok()?, rest));
        }
    }
    text.split_first().map(|(&byte, rest)| (byte, rest))
}

/// RFC 9110 section 5.6.2 `token`.
fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}

fn contains_ignore_case(text: &str, needle: &str) -> bool {
    text.as_bytes()
        .windows(needle.len())
        .any(|part| part.eq_ignore_ascii_case(needle.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(values: &[&[u8]]) -> Result<Option<String>, ClientFault> {
        Credentials::parse(values).map(|credentials| match credentials {
            Credentials::None => None,
            Credentials::Other => Some("other".into()),
            Credentials::Bearer { token, .. } => Some(format!("bearer {}", token.as_str())),
        })
    }

    #[test]
    fn the_scheme_is_case_insensitive_and_spaces_around_the_token_do_not_count() {
        for value in [
            "Bearer a.b.c",
            "bearer a.b.c",
            "BEARER  a.b.c",
            "Bearer a.b.c ",
        ] {
            assert_eq!(
                shown(&[value.as_bytes()]),
                Ok(Some("bearer a.b.c".into())),
                "{value}"
            );
        }
        assert_eq!(shown(&[]), Ok(None));
    }

    #[test]
    fn another_scheme_is_left_to_others() {
        for value in [
            "Basic dXNlcjpwdw==",
            "DPoP a.b.c",
            "Negotiate",
            "Digest a=\"b\", c=d",
        ] {
            assert_eq!(
                shown(&[value.as_bytes()]),
                Ok(Some("other".into())),
                "{value}"
            );
        }
    }

    #[test]
    fn whatever_is_not_exactly_one_well_formed_credential_is_refused() {
        let malformed: [&[u8]; 14] = [
            b"",
            b" ",
            b" Bearer a",
            b"Bearer",
            b"Bearer ",
            b"Bearer:x",
            b"Bearer\ta.b.c",
            b"Bearer a b",
            b"Bearer a,Bearer a",
            b"Bearer a, Basic b",
            b"Basic b,Bearer a",
            b"Bearer a\"",
            b"Bearer =",
            b"Bearer \xff",
        ];
        for value in malformed {
            assert_eq!(
                shown(&[value]),
                Err(ClientFault::AuthorizationMalformed),
                "{value:?}"
            );
        }
        let twice: [&[u8]; 2] = [b"Bearer a", b"Bearer a"];
        assert_eq!(shown(&twice), Err(ClientFault::AuthorizationRepeated));
    }

    #[test]
    fn a_token_in_the_query_is_refused_however_its_name_is_written() {
        let refused = [
            "/?access_token=a",
            "/x?a=b&access_token",
            "/?%61ccess%5Ftoken=",
            "/?a;Access_Token=b",
        ];
        for path in refused {
            let refusal = Err(ClientFault::AccessTokenInQuery);
            assert_eq!(refuse_token_in_query(path.as_bytes()), refusal, "{path}");
        }
        for path in [
            "/",
            "/access_token=a",
            "/?access_tokens=1",
            "/?a=access_token",
            "/?xaccess_token=1",
            "*",
        ] {
            assert_eq!(refuse_token_in_query(path.as_bytes()), Ok(()), "{path}");
        }
    }
}
