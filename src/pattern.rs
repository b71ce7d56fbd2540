//! Patterns of hosts and paths, for rules and for the prover's allow-list.

use serde::Deserialize;

use std::net::Ipv6Addr;

use crate::target_uri::{normalise_host, normalise_path};

/// A host: `api.example.com`, or `*.example.com` for every name below a domain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HostPattern(String);

impl TryFrom<String> for HostPattern {
    type Error = &'static str;

    fn try_from(pattern: String) -> Result<Self, Self::Error> {
        let pattern = pattern.to_ascii_lowercase();
        let is_host = match pattern.strip_prefix("*.") {
            Some(domain) => is_name(domain),
            None => is_name(&pattern) || is_literal(&pattern),
        };
        // What is not in normal form, such as a host with a port, would never match.
        let host = pattern.strip_prefix("*.").unwrap_or(&pattern).as_bytes();
        if !is_host || normalise_host(host).as_deref() != Some(host) {
            return Err(
                "must be a host name without port such as \"api.example.com\" or \"*.example.com\"",
            );
        }
        Ok(Self(pattern))
    }
}

fn is_name(host: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(legal);
    host.split('.').all(is_label)
}

/// An IPv6 address in brackets.
fn is_literal(host: &str) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

impl HostPattern {
    /// Whether it is for a host in the form of [`crate::target_uri::normalise_host`].
    #[must_use]
    pub fn matches(&self, host: &[u8]) -> bool {
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
    /// Every path that begins so.
    ///
    /// # Errors
    /// What a path must be like.
    pub fn prefix(path: &str) -> Result<Self, &'static str> {
        normal(path).map(Self::Prefix)
    }

    /// Whether it is for a path in the form of [`normalise_path`].
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
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
            RawPathPattern::Prefix(path) => Self::prefix(&path),
            RawPathPattern::Template(path) => template(&path).map(Self::Template),
        }
    }
}

fn template(path: &str) -> Result<Vec<Segment>, &'static str> {
    let segments = path.strip_prefix('/').ok_or(NOT_NORMAL)?;
    let segments: Vec<Segment> = segments
        .split('/')
        .map(Segment::parse)
        .collect::<Result<_, _>>()?;
    // A path that the template is for: its literals must be in normal form too.
    let example = segments
        .iter()
        .fold(String::new(), |path, segment| match segment {
            Segment::Literal(text) => path + "/" + &String::from_utf8_lossy(text),
            Segment::Any => path + "/x",
        });
    normal(&example).map(|_| segments)
}

const NOT_NORMAL: &str = "must be a path in normal form, such as \"/orders\"";

/// A pattern that is not in normal form would never match.
fn normal(path: &str) -> Result<Vec<u8>, &'static str> {
    match normalise_path(path.as_bytes()) {
        Some(normal) if normal == path.as_bytes() => Ok(normal),
        _ => Err(NOT_NORMAL),
    }
}
