//! What binding reads of one request, in the bytes that the host gives.

use crate::authorization::Credentials;
use crate::proof;

/// Where a request is directed: `:authority` (or `Host`) and `:path`, as the proxy routes them.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestTarget<'a> {
    /// Host and optional port.
    pub authority: &'a [u8],
    /// Path and optional query; empty for `CONNECT`, which has none.
    pub path: &'a [u8],
}

/// What one request says about itself, as the proxy routes it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestLine<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:authority` and `:path`.
    pub target: RequestTarget<'a>,
}

impl RequestLine<'_> {
    /// Whether the request names a host and no path (RFC 9110 section 9.3.6).
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.method == b"CONNECT" && self.target.path.is_empty()
    }
}

/// Whether a service may take the header `name` for the header `own`: many know headers as variables, in
/// which letter case is lost and every other character is an underscore (RFC 3875 section 4.1.18).
#[must_use]
pub fn is_spelling_of(name: &str, own: &str) -> bool {
    let variable = |byte: u8| {
        let upper = byte.to_ascii_uppercase();
        if upper.is_ascii_alphanumeric() {
            upper
        } else {
            b'_'
        }
    };
    name.bytes().map(variable).eq(own.bytes().map(variable))
}

/// Names among these of lines that the service must not take for verified, each once: the proof, and every spelling
/// of the header that tells what was verified.
pub fn own_names<'a>(
    names: impl Iterator<Item = &'a str>,
    verified_header: Option<&str>,
) -> Vec<&'a str> {
    let mut own = Vec::new();
    for name in names {
        let is_own = name == proof::HEADER
            || verified_header.is_some_and(|header| is_spelling_of(name, header));
        if is_own && !own.contains(&name) {
            own.push(name);
        }
    }
    own
}

/// The header lines that binding is about.
///
/// `Debug` is not implemented: tokens and proofs are secrets.
#[derive(Clone, Default)]
pub struct Request<'a> {
    /// All values of `Authorization`.
    pub authorization: Vec<&'a [u8]>,
    /// All values of `Session-Binding-Proof`.
    pub proof: Vec<&'a [u8]>,
    /// Method and target.
    pub line: RequestLine<'a>,
    /// Whether another header holds a token.
    pub has_token_elsewhere: bool,
}

impl Request<'_> {
    /// Whether a Bearer token is presented.
    #[must_use]
    pub fn presents_token(&self) -> bool {
        let credentials = Credentials::parse(&self.authorization);
        matches!(credentials, Ok(Credentials::Bearer { .. }))
    }
}

impl<'a> Request<'a> {
    /// Gathers them from all header lines of a request: names in lower case, every line of a repeated
    /// header an entry of its own. `holds_token` says of other headers whether they do.
    pub fn gather(
        lines: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        holds_token: impl Fn(&str, &[u8]) -> bool,
    ) -> Self {
        let mut request = Self::default();
        let line = &mut request.line;
        for (name, value) in lines {
            match name {
                "authorization" => request.authorization.push(value),
                proof::HEADER => request.proof.push(value),
                ":method" => line.method = value,
                ":authority" => line.target.authority = value,
                ":path" => line.target.path = value,
                _ => request.has_token_elsewhere |= holds_token(name, value),
            }
        }
        request
    }
}
