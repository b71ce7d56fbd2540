//! Rules by host, path and method: which requests must be bound, and how strictly. The first rule that
//! matches decides; the default rule decides what none matches.

use crate::pattern::{HostPattern, PathPattern};
use crate::proof::RequestClaims;
use crate::request::RequestLine;
use crate::rule::Rule;
use crate::target_uri::{self, normalise_host, normalise_path};

/// The operator's rules, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Decides what no other rule matches.
    pub default: Rule,
    /// In order of precedence.
    pub rules: Vec<(Matcher, Rule)>,
}

/// The rule for a request.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Whether it is certain that the rule is the one. If it is not, nobody can read what the request is
    /// for, and the rule is the strictest of those that may be the right one.
    pub is_certain: bool,
}

impl Policy {
    /// The rule for a request.
    ///
    /// Hosts and paths compare in the normal forms of [`crate::target_uri`], paths without the query. What
    /// cannot be read never falls through to a laxer rule. `CONNECT` has no path: it is judged by host and
    /// method, under the strictest of the rules that these leave possible.
    #[must_use]
    pub fn select(&self, line: &RequestLine<'_>) -> Selection<'_> {
        if self.rules.is_empty() {
            let rule = &self.default;
            return Selection {
                rule,
                is_certain: true,
            };
        }
        let readable = Readable::of(line);
        let mut possible = Vec::new();
        for (matcher, rule) in &self.rules {
            match matcher.matches(&readable) {
                Match::No => {}
                Match::Perhaps => possible.push(rule),
                Match::Yes => return strictest(rule, &possible, line),
            }
        }
        strictest(&self.default, &possible, line)
    }

    /// The last second, since 1970, at which a proof with these claims could be accepted under any rule: those
    /// that its claims exclude do not count.
    #[must_use]
    pub fn acceptable_until(&self, claims: &RequestClaims, issued_at: u64) -> u64 {
        let claimed = Readable::claimed(claims);
        let matches = self
            .rules
            .iter()
            .map(|(matcher, rule)| (matcher.matches(&claimed), rule));
        let mut last = 0;
        for (is_for, rule) in matches.chain([(Match::Yes, &self.default)]) {
            if is_for != Match::No && rule.proof.required_claims.are_in(claims) {
                last = last.max(rule.proof.last_second(issued_at));
            }
            if is_for == Match::Yes {
                break;
            }
        }
        last
    }

    /// Every rule, the default one first: a rule's place is its number.
    pub fn all(&self) -> impl Iterator<Item = &Rule> {
        std::iter::once(&self.default).chain(self.rules.iter().map(|(_, rule)| rule))
    }
}

/// The rule if nothing before it was `possible`, otherwise the strictest of all.
fn strictest<'a>(rule: &'a Rule, possible: &[&'a Rule], line: &RequestLine<'_>) -> Selection<'a> {
    let all = possible.iter().copied().chain([rule]);
    Selection {
        rule: all.max_by_key(|rule| rule.strictness()).unwrap_or(rule),
        is_certain: possible.is_empty() || line.is_connect(),
    }
}

/// A request's line as far as it can be read, in normal form.
struct Readable<'a> {
    method: Option<&'a [u8]>,
    host: Option<Vec<u8>>,
    path: Option<Vec<u8>>,
}

impl<'a> Readable<'a> {
    fn of(line: &RequestLine<'a>) -> Self {
        // A request without any path, such as CONNECT, is not one for `/`.
        let given = Some(line.target.path).filter(|path| !path.is_empty());
        Self {
            method: Some(line.method),
            host: normalise_host(line.target.authority),
            path: given.and_then(normalise_path),
        }
    }

    /// What a proof says of the requests that it is for.
    fn claimed(claims: &'a RequestClaims) -> Self {
        let htu = claims.target_uri.as_deref();
        let (host, path) = htu.map_or((None, None), target_uri::normalise);
        Self {
            method: claims.method.as_deref().map(str::as_bytes),
            host,
            path,
        }
    }
}

/// Whether a rule is for a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    No,
    Perhaps,
    Yes,
}

impl Match {
    /// Of a part of the request that is `None` if it cannot be read.
    fn of<P>(pattern: Option<&P>, part: Option<&Vec<u8>>, matches: fn(&P, &[u8]) -> bool) -> Self {
        match (pattern, part) {
            (None, _) => Self::Yes,
            (Some(_), None) => Self::Perhaps,
            (Some(pattern), Some(part)) if matches(pattern, part) => Self::Yes,
            _ => Self::No,
        }
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
    fn matches(&self, line: &Readable<'_>) -> Match {
        let is_named = |given: &[u8]| self.methods.iter().any(|one| one.as_bytes() == given);
        let method = match line.method {
            _ if self.methods.is_empty() => Match::Yes,
            None => Match::Perhaps,
            Some(given) if is_named(given) => Match::Yes,
            Some(_) => Match::No,
        };
        let host = Match::of(self.host.as_ref(), line.host.as_ref(), HostPattern::matches);
        let path = Match::of(self.path.as_ref(), line.path.as_ref(), PathPattern::matches);
        method.min(host).min(path)
    }
}
