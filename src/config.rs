//! The plugin's configuration: JSON in, validated values out, every mistake reported at once with its
//! path. Unknown keys are mistakes; a missing key takes its default, so `{}` is a configuration.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::algorithm::{Algorithm, AlgorithmSet};
use crate::cache::CacheLimits;
use crate::certificate::CertificateEncoding;
use crate::challenge::{ChallengeRules, ErrorDescription, is_quotable};
use crate::elsewhere::TokensElsewhere;
use crate::exporter::ExporterEncoding;
use crate::json;
use crate::limits::{
    MAX_ACCESS_TOKEN_BYTES, MAX_CACHED_CONNECTIONS, MAX_CACHED_TOKENS, MAX_CONFIG_BYTES,
    MAX_RULE_NAME_BYTES, MAX_SHARED_BYTES,
};
use crate::pattern::{HostPattern, PathPattern};
use crate::policy::{Matcher, Policy};
use crate::proof::{self, RequestClaims};
use crate::replay;
use crate::rule::{Mode, ProofRules, RequiredClaims, Rule, WithoutToken};
use crate::target_uri::ClientAuthorities;

mod section;

use section::{Seconds, Section};

/// Path of a host property, such as `["filter_state", "tls_session_binding.exporter"]`.
pub type PropertyPath = Vec<String>;

/// A property and how its bytes are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source<E> {
    /// Where the host keeps the value.
    pub property: PropertyPath,
    /// How it writes it.
    pub encoding: E,
}

/// Where the token's confirmation is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfirmationSource {
    /// In the claims of the presented JWT.
    Token,
    /// In the claims that another filter verified and keeps at this property.
    Property(PropertyPath),
}

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An HTTP filter that verifies requests.
    Verify,
    /// A network filter that drops a connection's cached bindings when it closes.
    Purge,
}

/// A validated configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What the plugin is for.
    pub role: Role,
    /// The connection's exporter value.
    pub exporter: Source<ExporterEncoding>,
    /// The connection's client certificate.
    pub client_certificate: Source<CertificateEncoding>,
    /// The token's confirmation.
    pub confirmation: ConfirmationSource,
    /// Further places where other filters take tokens from.
    pub tokens_elsewhere: TokensElsewhere,
    /// The rules.
    pub policy: Policy,
    /// How much of what was verified is kept.
    pub cache: CacheLimits,
    /// Name, in lower case, of the request header that tells the service what was verified.
    pub verified_header: Option<String>,
    /// What a refused client is told.
    pub challenge: ChallengeRules,
    /// What clients call the authorities that requests name here.
    pub client_authority: ClientAuthorities,
    /// Longest access token.
    pub max_access_token_bytes: usize,
}

/// Everything that is wrong with a configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Mistakes {}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Mistakes`], all of them.
    ///
    /// ```
    /// use tls_session_binding::config::Config;
    ///
    /// assert!(Config::parse(b"{}").is_ok());
    /// let mistakes = Config::parse(br#"{"max_proof_age": 5, "exporter": {"proprety": []}}"#).unwrap_err();
    /// assert!(mistakes.to_string().contains("exporter.proprety: unknown key"));
    /// assert!(mistakes.to_string().contains("max_proof_age: "));
    /// ```
    pub fn parse(text: &[u8]) -> Result<Self, Mistakes> {
        let members = parse_members(text).map_err(|mistake| Mistakes(vec![mistake.to_owned()]))?;
        let mut mistakes = Vec::new();
        let mut root = Section {
            path: String::new(),
            members,
            mistakes: &mut mistakes,
        };
        let config = Self::read(&mut root);
        root.finish();
        if mistakes.is_empty() {
            Ok(config)
        } else {
            Err(Mistakes(mistakes))
        }
    }

    /// The last second, since 1970, at which a proof with these claims could be accepted.
    #[must_use]
    pub fn acceptable_until(&self, claims: &RequestClaims, issued_at: u64) -> u64 {
        if self.client_authority.is_empty() {
            return self.policy.acceptable_until(claims, issued_at);
        }
        // Rules go by the authority seen here, `htu` by the client's: the host excludes none.
        let claims = RequestClaims {
            target_uri: None,
            ..claims.clone()
        };
        self.policy.acceptable_until(&claims, issued_at)
    }

    /// How much the host has to hold at worst, in words.
    #[must_use]
    pub fn capacity(&self) -> String {
        let ages = self.policy.all().map(|rule| rule.proof.last_second(0));
        let window = ages.max().unwrap_or_default();
        let shared = (self.cache.shared_bytes() + replay::MAX_BYTES) >> 20;
        let jtis = replay::MAX_JTIS / window.max(1);
        format!("at most {shared} MiB of shared memory; {jtis} new jti a second on a connection")
    }

    fn read(root: &mut Section<'_>) -> Self {
        Self {
            role: root.value("role", Role::Verify),
            exporter: root.source(
                "exporter",
                &["filter_state", "tls_session_binding.exporter"],
                ExporterEncoding::Base64url,
            ),
            client_certificate: root.source(
                "client_certificate",
                &["filter_state", "tls_session_binding.client_certificate"],
                CertificateEncoding::Base64Der,
            ),
            confirmation: read_confirmation(root),
            tokens_elsewhere: read_tokens_elsewhere(root),
            policy: read_policy(root),
            cache: read_cache(root),
            verified_header: read_verified_header(root),
            challenge: read_challenge(root),
            client_authority: read_client_authority(root),
            max_access_token_bytes: root.count(
                "max_access_token_bytes",
                1..=MAX_ACCESS_TOKEN_BYTES,
                MAX_ACCESS_TOKEN_BYTES,
            ),
        }
    }
}

fn parse_members(text: &[u8]) -> Result<Map<String, Value>, &'static str> {
    if text.len() > MAX_CONFIG_BYTES {
        return Err("the configuration is too long");
    }
    if text.trim_ascii().is_empty() {
        return Err("the configuration is empty: {} takes every default");
    }
    json::parse_object(text)
        .map_err(|_| "the configuration is not one JSON object without duplicate keys")
}

fn read_policy(root: &mut Section<'_>) -> Policy {
    let (mode, without_token) = read_binding(root);
    let default = Rule {
        number: 0,
        proof_number: 0,
        name: "default".to_owned(),
        mode: root.value("mode", mode),
        without_token: root.value("without_token", without_token),
        proof: ProofRules {
            algorithms: read_algorithms(root),
            max_proof_age: root.seconds("max_proof_age", 300),
            clock_tolerance: root.seconds("clock_tolerance", 30),
            required_claims: read_required_claims(root, RequiredClaims::default()),
        },
    };
    let rules = root.sections("rules").into_iter().zip(1..);
    let rules = rules
        .map(|(section, number)| read_rule(root, section, number, &default))
        .collect();
    let mut policy = Policy { default, rules };
    number_proof_rules(&mut policy);
    refuse_same_names(root, &policy);
    policy
}

/// `binding` says mode and treatment of requests without token in one word.
fn read_binding(root: &mut Section<'_>) -> (Mode, WithoutToken) {
    #[derive(Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Binding {
        IfConfirmed,
        Required,
    }
    let given = root.members.contains_key("binding");
    if given
        && ["mode", "without_token"]
            .iter()
            .any(|key| root.members.contains_key(*key))
    {
        root.mistake("binding", "stands for mode and without_token: give either");
    }
    match root.value("binding", Binding::IfConfirmed) {
        Binding::IfConfirmed => (Mode::EnforceIfBound, WithoutToken::Pass),
        Binding::Required => (Mode::Enforce, WithoutToken::Refuse),
    }
}

/// A rule takes from the default one what it does not say.
fn read_rule(
    root: &mut Section<'_>,
    (path, members): (String, Map<String, Value>),
    number: u16,
    default: &Rule,
) -> (Matcher, Rule) {
    let mut section = Section {
        path,
        members,
        mistakes: root.mistakes,
    };
    let matcher = Matcher {
        host: section.value("host", None::<HostPattern>),
        path: section.value("path", None::<PathPattern>),
        methods: read_methods(&mut section),
    };
    let rule = Rule {
        number,
        proof_number: number,
        name: read_name(&mut section),
        mode: section.value("mode", default.mode),
        without_token: section.value("without_token", default.without_token),
        proof: ProofRules {
            max_proof_age: section.seconds("max_proof_age", default.proof.max_proof_age),
            required_claims: read_required_claims(&mut section, default.proof.required_claims),
            ..default.proof
        },
    };
    section.finish();
    (matcher, rule)
}

/// Methods are case-sensitive and all of them in capitals (RFC 9110 section 9.1): others would match nothing.
fn read_methods(section: &mut Section<'_>) -> Vec<String> {
    let methods: Vec<String> = section.value("methods", Vec::new());
    let legal =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let is_one = |method: &String| !method.is_empty() && method.bytes().all(legal);
    if !methods.iter().all(is_one) {
        section.mistake("methods", "must be methods such as \"GET\", in capitals");
    }
    methods
}

/// Rules with equal rules for proofs share what was verified.
fn number_proof_rules(policy: &mut Policy) {
    let all: Vec<(u16, ProofRules)> = policy.all().map(|rule| (rule.number, rule.proof)).collect();
    for (_, rule) in &mut policy.rules {
        let same = all.iter().find(|(_, proof)| *proof == rule.proof);
        rule.proof_number = same.map_or(rule.number, |(number, _)| *number);
    }
}

/// Names become parts of metric names.
fn read_name(section: &mut Section<'_>) -> String {
    let name: String = section.value("name", String::new());
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > MAX_RULE_NAME_BYTES || !name.bytes().all(legal) {
        section.mistake("name", "must be given, of a-z, 0-9 and _");
    }
    name
}

fn refuse_same_names(root: &mut Section<'_>, policy: &Policy) {
    let names: Vec<&str> = policy.all().map(|rule| rule.name.as_str()).collect();
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|earlier| earlier == name) {
            root.mistake("rules", &format!("the name {name} stands twice"));
        }
    }
}

fn read_required_claims(section: &mut Section<'_>, default: RequiredClaims) -> RequiredClaims {
    #[derive(Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Claim {
        Htm,
        Htu,
        Jti,
    }
    let claims: Option<Vec<Claim>> = section.value("required_claims", None);
    let Some(claims) = claims else {
        return default;
    };
    RequiredClaims {
        method: claims.contains(&Claim::Htm),
        target_uri: claims.contains(&Claim::Htu),
        jti: claims.contains(&Claim::Jti),
    }
}

fn read_algorithms(root: &mut Section<'_>) -> AlgorithmSet {
    let algorithms: Vec<Algorithm> = root.value("algorithms", Algorithm::ALL.to_vec());
    if algorithms.is_empty() {
        root.mistake("algorithms", "must name at least one algorithm");
    }
    AlgorithmSet::of(&algorithms)
}

fn read_verified_header(root: &mut Section<'_>) -> Option<String> {
    let name: Option<String> = root.value("verified_header", None);
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let reserved = ["authorization", "host", proof::HEADER];
    let fits = |name: &String| {
        !name.is_empty() && name.bytes().all(legal) && !reserved.contains(&name.as_str())
    };
    if !name.as_ref().is_none_or(fits) {
        root.mistake(
            "verified_header",
            "must be the name of a header of its own, in lower case",
        );
    }
    name
}

fn read_challenge(root: &mut Section<'_>) -> ChallengeRules {
    let rules = ChallengeRules {
        error_description: root.value("error_description", ErrorDescription::Full),
        realm: root.value("realm", None),
        resource_metadata: root.value("resource_metadata", None),
    };
    let text = |text: &String| is_quotable(text);
    if !rules.realm.as_ref().is_none_or(text) {
        root.mistake(
            "realm",
            "must be printable ASCII without quotes, at most 512 characters",
        );
    }
    let url = |url: &String| is_quotable(url) && url.starts_with("https://") && !url.contains(' ');
    if !rules.resource_metadata.as_ref().is_none_or(url) {
        root.mistake(
            "resource_metadata",
            "must be a URL that begins with https://",
        );
    }
    rules
}

fn read_tokens_elsewhere(root: &mut Section<'_>) -> TokensElsewhere {
    let mut section = root.section("tokens_elsewhere");
    let places = TokensElsewhere {
        headers: section.names("headers"),
        cookies: section.names("cookies"),
        params: section.names("params"),
    };
    let is_header = |name: &String| *name == name.to_ascii_lowercase() && name != "authorization";
    if !places.headers.iter().all(is_header) {
        section.mistake("headers", "must be names of other headers, in lower case");
    }
    section.finish();
    places
}

fn read_cache(root: &mut Section<'_>) -> CacheLimits {
    let mut section = root.section("cache");
    let limits = CacheLimits {
        connections: section.count("connections", 0..=MAX_CACHED_CONNECTIONS, 10_000),
        tokens_per_connection: section.count("tokens_per_connection", 1..=MAX_CACHED_TOKENS, 64),
        max_binding_age: section
            .value("max_binding_age", None)
            .map(|Seconds(seconds)| seconds),
    };
    section.finish();
    let each_is_legal = limits.connections <= MAX_CACHED_CONNECTIONS
        && limits.tokens_per_connection <= MAX_CACHED_TOKENS;
    if each_is_legal && limits.shared_bytes() > MAX_SHARED_BYTES {
        let mebibytes = MAX_SHARED_BYTES >> 20;
        root.mistake(
            "cache",
            &format!("connections times tokens_per_connection may take more than {mebibytes} MiB of shared memory"),
        );
    }
    limits
}

fn read_client_authority(root: &mut Section<'_>) -> ClientAuthorities {
    let pairs: BTreeMap<String, String> = root.value("client_authority", BTreeMap::new());
    ClientAuthorities::parse(pairs).unwrap_or_else(|| {
        root.mistake(
            "client_authority",
            "must name pairs of authorities, such as {\"api.example\": \"api.example:8443\"}, each once",
        );
        ClientAuthorities::default()
    })
}

fn read_confirmation(root: &mut Section<'_>) -> ConfirmationSource {
    if let Some(Value::Object(_)) = root.members.get("confirmation") {
        let mut section = root.section("confirmation");
        let property = section.property(&[]);
        section.finish();
        return ConfirmationSource::Property(property);
    }
    if root.value("confirmation", "token".to_owned()) != "token" {
        root.mistake("confirmation", "must be \"token\" or {\"property\": [..]}");
    }
    ConfirmationSource::Token
}
