//! Places beside `Authorization` where a token may stand. Filters that validate tokens can be told to take
//! one from there; this verifier would never see that it is bound, so whatever stands there is refused.

use crate::error::ClientFault;
use crate::target_uri::percent_decode_first;

/// The parameter of RFC 6750 section 2.3.
const ACCESS_TOKEN: &str = "access_token";

/// The operator's list of further places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokensElsewhere {
    /// Header names, in lower case.
    pub headers: Vec<String>,
    /// Names of cookies.
    pub cookies: Vec<String>,
    /// Names of query parameters, beside `access_token`.
    pub params: Vec<String>,
}

impl TokensElsewhere {
    /// Whether a header is one of these places, or holds one.
    #[must_use]
    pub fn is_in_header(&self, name: &str, value: &[u8]) -> bool {
        self.headers.iter().any(|header| header == name)
            || (name == "cookie" && !self.cookies.is_empty() && self.is_in_cookies(value))
    }

    fn is_in_cookies(&self, value: &[u8]) -> bool {
        let names = value.split(|byte| matches!(byte, b';' | b',')).map(|pair| {
            let name = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
            name.trim_ascii()
        });
        let is_listed = |name: &[u8]| self.cookies.iter().any(|cookie| cookie.as_bytes() == name);
        names.into_iter().any(is_listed)
    }

    /// Refuses a request target whose query has one of these parameters, or `access_token`.
    ///
    /// # Errors
    /// [`ClientFault::AccessTokenInQuery`], [`ClientFault::TokenElsewhere`].
    pub fn refuse_in_query(&self, path: &[u8]) -> Result<(), ClientFault> {
        let Some(question) = path.iter().position(|&byte| byte == b'?') else {
            return Ok(());
        };
        let query = path.get(question + 1..).unwrap_or_default();
        let has = |name: &str| {
            query
                .split(|byte| matches!(byte, b'&' | b';' | b'#'))
                .any(|parameter| is_named(parameter, name))
        };
        if has(ACCESS_TOKEN) {
            return Err(ClientFault::AccessTokenInQuery);
        }
        if self.params.iter().any(|name| has(name)) {
            return Err(ClientFault::TokenElsewhere);
        }
        Ok(())
    }
}

/// Whether a parameter's name, percent-decoded, is `name` in any letter case.
fn is_named(parameter: &[u8], name: &str) -> bool {
    let mut left = parameter
        .split(|&byte| byte == b'=')
        .next()
        .unwrap_or_default();
    for expected in name.bytes() {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> TokensElsewhere {
        TokensElsewhere {
            headers: vec!["x-token".to_owned()],
            cookies: vec!["session".to_owned()],
            params: vec!["jwt".to_owned()],
        }
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
            let refusal = TokensElsewhere::default().refuse_in_query(path.as_bytes());
            assert_eq!(refusal, Err(ClientFault::AccessTokenInQuery), "{path}");
        }
        for path in [
            "/",
            "/access_token=a",
            "/?access_tokens=1",
            "/?a=access_token",
            "/?xaccess_token=1",
            "/?jwt=1",
            "*",
        ] {
            let refusal = TokensElsewhere::default().refuse_in_query(path.as_bytes());
            assert_eq!(refusal, Ok(()), "{path}");
        }
        let listed = places().refuse_in_query(b"/?a=1&JWT=x");
        assert_eq!(listed, Err(ClientFault::TokenElsewhere));
    }

    #[test]
    fn listed_headers_and_cookies_hold_a_token_and_others_do_not() {
        let cases: [(&str, &str, bool); 7] = [
            ("x-token", "", true),
            ("x-tokens", "a", false),
            ("cookie", "session=a", true),
            ("cookie", "a=b; session=c", true),
            ("cookie", "a=session; sessions=c", false),
            ("cookie", "session", true),
            ("x-cookie", "session=a", false),
        ];
        for (name, value, expected) in cases {
            let found = places().is_in_header(name, value.as_bytes());
            assert_eq!(found, expected, "{name}: {value}");
        }
    }
}
