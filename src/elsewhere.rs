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
