//! Rules by host, path and method: which requests must be bound, and how strictly. The first rule that
//! matches decides; the default rule decides what none matches.

use serde::Deserialize;

use crate::error::ClientFault;
use crate::target_uri::{host_of, normalise_path};
use crate::verify::{ProofRules, RequestLine};

/// How strictly a rule is applied. What a token is bound to is read in its `cnf`, never from the
/// presence of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every token must be session-bound.
    Enforce,
    /// A token must be bound if its `cnf` says so.
    EnforceIfBound,
    /// As [`Self::EnforceIfBound`], but what would be refused is counted and goes on.
    Observe,
}

/// What becomes of a request without a Bearer token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutToken {
    /// It goes on to the next filter.
    Pass,
    /// It is refused with a plain Bearer challenge.
    Refuse,
}

/// What is demanded of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Number of the rule, unique in its [`Policy`]; 0 is the default rule.
    pub number: u16,
    /// Name for metrics and access logs.
    pub name: String,
    /// How strictly it is applied.
    pub mode: Mode,
    /// What becomes of requests without a token.
    pub without_token: WithoutToken,
    /// What a proof must be like.
    pub proof: ProofRules,
}

/// The operator's rules, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Decides what no other rule matches.
    pub default: Rule,
    /// In order of precedence.
    pub rules: Vec<(Matcher, Rule)>,
}

impl Policy {
    /// The rule for a request.
    ///
    /// Paths compare in the normal form of [`crate::target_uri`], without the query.
    ///
    /// # Errors
    /// [`ClientFault::TargetUnreadable`] if there are rules and the request has no path to compare: what
    /// cannot be read must not fall through to a laxer rule.
    pub fn select(&self, line: &RequestLine<'_>) -> Result<&Rule, ClientFault> {
        if self.rules.is_empty() {
            return Ok(&self.default);
        }
        // A request without any path, such as CONNECT, is not one for `/`.
        let given = Some(line.target.path).filter(|path| !path.is_empty());
        let path = given
            .and_then(normalise_path)
            .ok_or(ClientFault::TargetUnreadable)?;
        let matching = |(matcher, _): &&(Matcher, Rule)| matcher.matches(line, &path);
        Ok(self
            .rules
            .iter()
            .find(matching)
            .map_or(&self.default, |(_, rule)| rule))
    }

    /// Every rule, the default one first: a rule's place is its number.
    pub fn all(&self) -> impl Iterator<Item = &Rule> {
        std::iter::once(&self.default).chain(self.rules.iter().map(|(_, rule)| rule))
    }
}

/// Which requests a rule is for; what is not given matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matcher {
    /// The host, without port.
    pub host: Option<HostPattern>,
    /// The path, without query.
    pub path: Option<PathPattern>,
    /// Methods; none given means all.
    pub methods: Vec<String>,
}

impl Matcher {
    fn matches(&self, line: &RequestLine<'_>, path: &[u8]) -> bool {
        let method = |method: &String| method.as_bytes() == line.method;
        self.host
            .as_ref()
            .is_none_or(|host| host.matches(line.target.authority))
            && self
                .path
                .as_ref()
                .is_none_or(|pattern| pattern.matches(path))
            && (self.methods.is_empty() || self.methods.iter().any(method))
    }
}

/// A host: `api.example.com`, or `*.example.com` for every name below a domain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HostPattern(String);

impl TryFrom<String> for HostPattern {
    type Error = &'static str;

    fn try_from(pattern: String) -> Result<Self, Self::Error> {
        let host = pattern.strip_prefix("*.").unwrap_or(&pattern);
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
        if host.is_empty() || !host.bytes().all(legal) {
            return Err("must be a host name such as \"api.example.com\" or \"*.example.com\"");
        }
        Ok(Self(pattern.to_ascii_lowercase()))
    }
}

impl HostPattern {
    fn matches(&self, authority: &[u8]) -> bool {
        // A fully qualified name may end in a dot, and is the same name.
        let host = host_of(authority).to_ascii_lowercase();
        let host = host.strip_suffix(b".").unwrap_or(&host);
        match self.0.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_bytes()),
            None => host == self.0.as_bytes(),
        }
    }
}

/// A path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "RawPathPattern")]
pub enum PathPattern {
    /// This path alone.
    Exact(Vec<u8>),
    /// Every path that begins so, at the boundary of a segment.
    Prefix(Vec<u8>),
    /// A path in which `{name}` stands for any one segment.
    Template(Vec<Segment>),
}

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Literal(Vec<u8>),
    /// Anything but nothing.
    Any,
}

impl PathPattern {
    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.strip_prefix(&prefix[..]).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with(b"/") || prefix.ends_with(b"/")
            }),
            Self::Template(segments) => {
                let given: Vec<&[u8]> = path.split(|&byte| byte == b'/').skip(1).collect();
                given.len() == segments.len()
                    && given
                        .iter()
                        .zip(segments)
                        .all(|(given, segment)| segment.matches(given))
            }
        }
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        {
            Some(name) if !name.is_empty() && !name.contains(['{', '}', '*']) => Ok(Self::Any),
            None if !text.contains(['{', '}']) => Ok(Self::Literal(text.into())),
            _ => Err("a segment of a template is text or {name}"),
        }
    }

    fn matches(&self, given: &[u8]) -> bool {
        match self {
            Self::Literal(text) => given == text,
            Self::Any => !given.is_empty(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawPathPattern {
    Exact(String),
    Prefix(String),
    Template(String),
}

impl TryFrom<RawPathPattern> for PathPattern {
    type Error = &'static str;

    fn try_from(raw: RawPathPattern) -> Result<Self, Self::Error> {
        match raw {
            RawPathPattern::Exact(path) => normal(&path).map(Self::Exact),
            RawPathPattern::Prefix(path) => normal(&path).map(Self::Prefix),
            RawPathPattern::Template(path) => {
                let segments = path.strip_prefix('/').ok_or(NOT_NORMAL)?;
                segments
                    .split('/')
                    .map(Segment::parse)
                    .collect::<Result<_, _>>()
                    .map(Self::Template)
            }
        }
    }
}

const NOT_NORMAL: &str = "must be a path in normal form, such as \"/orders\"";

/// A pattern that is not in normal form would never match.
fn normal(path: &str) -> Result<Vec<u8>, &'static str> {
    match normalise_path(path.as_bytes()) {
        Some(normal) if normal == path.as_bytes() => Ok(normal),
        _ => Err(NOT_NORMAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target_uri::RequestTarget;

    fn path(pattern: &str) -> Result<PathPattern, serde_json::Error> {
        serde_json::from_str(pattern)
    }

    #[test]
    fn paths_match_exactly_by_prefix_or_by_template() {
        let cases = [
            (r#"{"exact":"/a"}"#, "/a", true),
            (r#"{"exact":"/a"}"#, "/a/", false),
            (r#"{"prefix":"/a"}"#, "/a", true),
            (r#"{"prefix":"/a"}"#, "/a/b", true),
            (r#"{"prefix":"/a"}"#, "/ab", false),
            (r#"{"prefix":"/"}"#, "/anything", true),
            (r#"{"template":"/u/{id}/o"}"#, "/u/7/o", true),
            (r#"{"template":"/u/{id}/o"}"#, "/u//o", false),
            (r#"{"template":"/u/{id}/o"}"#, "/u/7/8/o", false),
            (r#"{"template":"/u/{id}/o"}"#, "/u/7/p", false),
        ];
        for (pattern, given, expected) in cases {
            assert_eq!(
                path(pattern).unwrap().matches(given.as_bytes()),
                expected,
                "{pattern} {given}"
            );
        }
    }

    #[test]
    fn a_pattern_that_could_never_match_is_refused() {
        let refused = [
            r#"{"exact":"a"}"#,
            r#"{"exact":"/a/../b"}"#,
            r#"{"prefix":"/%61"}"#,
            r#"{"prefix":"/a?b"}"#,
            r#"{"template":"u/{id}"}"#,
            r#"{"template":"/u/{id"}"#,
            r#"{"template":"/u/x{id}"}"#,
            r#"{"template":"/{}"}"#,
            r#"{"regex":".*"}"#,
            r#""/a""#,
        ];
        for pattern in refused {
            assert!(path(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn hosts_match_without_port_and_case() {
        let cases = [
            ("api.example.com", "API.example.com:8443", true),
            ("api.example.com", "x.api.example.com", false),
            ("*.example.com", "api.example.com", true),
            ("*.example.com", "example.com", false),
            ("api.example.com", "api.example.com.:443", true),
            ("*.example.com", "api.example.org", false),
            ("[::1]", "[::1]:8443", true),
        ];
        for (pattern, authority, expected) in cases {
            let pattern = HostPattern::try_from(pattern.to_owned()).unwrap();
            assert_eq!(
                pattern.matches(authority.as_bytes()),
                expected,
                "{pattern:?} {authority}"
            );
        }
        for pattern in ["", "*.", "*", "a b", "a*.com"] {
            assert!(
                HostPattern::try_from(pattern.to_owned()).is_err(),
                "{pattern}"
            );
        }
    }

    #[test]
    fn the_first_matching_rule_decides_on_the_normal_form_of_the_path() {
        let config = br#"{"rules":[
            {"name":"writes","methods":["POST","DELETE"],"path":{"prefix":"/orders"},"mode":"enforce"},
            {"name":"orders","path":{"prefix":"/orders"}}]}"#;
        let policy = crate::config::Config::parse(config).unwrap().policy;
        let select = |method: &str, path: &str| {
            let target = RequestTarget {
                authority: b"a",
                path: path.as_bytes(),
            };
            let line = RequestLine {
                method: method.as_bytes(),
                target,
            };
            policy.select(&line).map(|rule| rule.name.clone())
        };
        let cases = [
            ("POST", "/orders/7?x", "writes"),
            ("POST", "/x/../orders", "writes"),
            ("POST", "/%6frders", "writes"),
            ("GET", "/orders", "orders"),
            ("POST", "/ordersx", "default"),
        ];
        for (method, path, name) in cases {
            assert_eq!(select(method, path), Ok(name.to_owned()), "{method} {path}");
        }
        for path in ["", "*", "/%zz"] {
            assert_eq!(
                select("GET", path),
                Err(ClientFault::TargetUnreadable),
                "{path}"
            );
        }
    }
}
