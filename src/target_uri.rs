//! Comparison of a proof's `htu` with the request's target (V-i; RFC 9449 section 4.3 step 9).
//!
//! The rule, for both sides alike:
//! - query and fragment do not count;
//! - scheme and host compare without regard to case, and the scheme is `https`: the proof exists only
//!   on a TLS connection;
//! - port 443 and no port are the same; user information, an empty host and anything but printable
//!   ASCII match nothing;
//! - in the path, percent-encoded unreserved characters are decoded, other percent-encodings compare
//!   without regard to hexadecimal case, dot segments are removed, and an empty path is `/`
//!   (RFC 3986 sections 6.2.2 and 6.2.3). `//`, `;` and `%2F` stay what they are;
//! - an `htu` that begins with a single `/` is a path, and only the path is compared.

use crate::request::RequestTarget;

const SCHEME: &str = "https://";
const DEFAULT_PORT: u16 = 443;

/// Whether `htu` names the request's target.
///
/// ```
/// use tls_session_binding::request::RequestTarget;
/// use tls_session_binding::target_uri::matches;
///
/// let request = RequestTarget { authority: b"Service.example:443", path: b"/a%7Eb?c=d" };
/// assert!(matches("https://service.example/a~b", request));
/// assert!(!matches("https://service.example/a~b/", request));
/// ```
#[must_use]
pub fn matches(htu: &str, request: RequestTarget<'_>) -> bool {
    let Some(request_path) = normalise_path(request.path) else {
        return false;
    };
    if htu.starts_with('/') && !htu.starts_with("//") {
        return normalise_path(htu.as_bytes()) == Some(request_path);
    }
    let Some(Absolute { authority, path }) = Absolute::split(htu) else {
        return false;
    };
    let (claimed, actual) = (
        Authority::parse(authority),
        Authority::parse(request.authority),
    );
    claimed.is_some() && claimed == actual && normalise_path(path) == Some(request_path)
}

/// Host and path that an `htu` names, in normal form; what it leaves open or nobody can read is `None`.
pub(crate) fn normalise(htu: &str) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    match Absolute::split(htu) {
        Some(Absolute { authority, path }) => (normalise_host(authority), normalise_path(path)),
        None => (None, normalise_path(htu.as_bytes())),
    }
}

/// Authorities as requests name them here, and as the clients that send them do: a proxy before this
/// verifier may have changed them. Each stands for exactly one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientAuthorities(Vec<(Authority, String)>);

impl ClientAuthorities {
    /// Reads pairs of the authority seen here and the client's; `None` if one is none or is seen twice.
    #[must_use]
    pub fn parse(pairs: impl IntoIterator<Item = (String, String)>) -> Option<Self> {
        let mut read: Vec<(Authority, String)> = Vec::new();
        for (seen, clients) in pairs {
            let seen = Authority::parse(seen.as_bytes())?;
            Authority::parse(clients.as_bytes())?;
            if read.iter().any(|(other, _)| *other == seen) {
                return None;
            }
            read.push((seen, clients));
        }
        Some(Self(read))
    }

    /// The client's authority of a request that names this one.
    #[must_use]
    pub fn of<'a>(&'a self, seen: &'a [u8]) -> &'a [u8] {
        if self.0.is_empty() {
            return seen;
        }
        let parsed = Authority::parse(seen);
        let pair = self.0.iter().find(|(own, _)| Some(own) == parsed.as_ref());
        pair.map_or(seen, |(_, clients)| clients.as_bytes())
    }

    /// Whether clients and requests name the same ones.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

struct Absolute<'a> {
    authority: &'a [u8],
    path: &'a [u8],
}

impl<'a> Absolute<'a> {
    fn split(htu: &'a str) -> Option<Self> {
        let (scheme, rest) = htu.split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        Some(Self {
            authority: authority.as_bytes(),
            path: path.as_bytes(),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Authority {
    host: Vec<u8>,
    port: u16,
}

impl Authority {
    fn parse(authority: &[u8]) -> Option<Self> {
        let (host, port) = split_port(authority);
        let legal =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%:[]".contains(byte);
        if host.is_empty() || !host.iter().all(legal) {
            return None;
        }
        let port = match port {
            b"" => DEFAULT_PORT,
            digits if digits.iter().all(u8::is_ascii_digit) => {
                std::str::from_utf8(digits).ok()?.parse().ok()?
            }
            _ => return None,
        };
        Some(Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

/// The host of an authority, without port, in lower case; `None` when it is none. A fully qualified name may
/// end in a dot, and is the same name without.
#[must_use]
pub fn normalise_host(authority: &[u8]) -> Option<Vec<u8>> {
    let mut host = Authority::parse(authority)?.host;
    if host.len() > 1 && host.ends_with(b".") {
        host.pop();
    }
    Some(host)
}

/// Host and port; the colons inside an IPv6 literal are the host's.
fn split_port(authority: &[u8]) -> (&[u8], &[u8]) {
    let after_literal = authority
        .iter()
        .rposition(|&byte| byte == b']')
        .map_or(0, |end| end + 1);
    let colon = authority
        .iter()
        .skip(after_literal)
        .position(|&byte| byte == b':');
    match colon.and_then(|colon| authority.split_at_checked(after_literal + colon)) {
        Some((host, port)) => (host, port.get(1..).unwrap_or_default()),
        None => (authority, b""),
    }
}

/// The path in the one form that all equivalent ones share; `None` when it is not an absolute path.
#[must_use]
pub fn normalise_path(path_and_query: &[u8]) -> Option<Vec<u8>> {
    let path = path_and_query
        .split(|byte| matches!(byte, b'?' | b'#'))
        .next()?;
    let path = normalise_percent_encoding(path)?;
    match path.first() {
        None => Some(b"/".to_vec()),
        Some(b'/') => Some(remove_dot_segments(&path)),
        Some(_) => None,
    }
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

fn normalise_percent_encoding(path: &[u8]) -> Option<Vec<u8>> {
    let mut normal = Vec::with_capacity(path.len());
    let mut left = path;
    while let Some(&first) = left.first() {
        let (byte, rest) = percent_decode_first(left)?;
        let encoded = rest.len() + 3 == left.len();
        match first {
            b'%' if !encoded => return None,
            b'%' if is_unreserved(byte) => normal.push(byte),
            b'%' => normal.extend(left.iter().take(3).map(u8::to_ascii_uppercase)),
            b'!'..=b'~' => normal.push(first),
            _ => return None,
        }
        left = rest;
    }
    Some(normal)
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 section 5.2.4, for a path that begins with `/`.
fn remove_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut ends_in_slash = false;
    for segment in path.split(|&byte| byte == b'/').skip(1) {
        ends_in_slash = matches!(segment, b"." | b"..");
        match segment {
            b"." => {}
            b".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    if ends_in_slash {
        segments.push(b"");
    }
    segments
        .iter()
        .fold(Vec::with_capacity(path.len()), |mut joined, segment| {
            joined.push(b'/');
            joined.extend_from_slice(segment);
            joined
        })
}
