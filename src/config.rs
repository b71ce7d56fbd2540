//! The plugin's configuration: JSON in, validated values out, every mistake reported at once with its
//! path. Unknown keys are mistakes; a missing key takes its default, so `{}` is a configuration.

use std::fmt;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::algorithm::{Algorithm, AlgorithmSet};
use crate::cache::CacheLimits;
use crate::certificate::CertificateEncoding;
use crate::challenge::ErrorDescription;
use crate::exporter::ExporterEncoding;
use crate::json;
use crate::limits::{
    MAX_CACHED_CONNECTIONS, MAX_CACHED_TOKENS, MAX_CONFIG_BYTES, MAX_CONFIG_SECONDS,
};
use crate::policy::{BindingMode, Policy};
use crate::verify::Rules;

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
    /// The rules.
    pub policy: Policy,
    /// How much of what was verified is kept.
    pub cache: CacheLimits,
    /// How much a refused client is told.
    pub error_description: ErrorDescription,
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
            policy: Policy {
                binding: root.value("binding", BindingMode::IfConfirmed),
                rules: Rules {
                    algorithms: read_algorithms(root),
                    max_proof_age: root.seconds("max_proof_age", 300),
                    clock_tolerance: root.seconds("clock_tolerance", 30),
                },
            },
            cache: read_cache(root),
            error_description: root.value("error_description", ErrorDescription::Full),
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

fn read_algorithms(root: &mut Section<'_>) -> AlgorithmSet {
    let algorithms: Vec<Algorithm> = root.value("algorithms", Algorithm::ALL.to_vec());
    if algorithms.is_empty() {
        root.mistake("algorithms", "must name at least one algorithm");
    }
    AlgorithmSet::of(&algorithms)
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
    limits
}

fn read_confirmation(root: &mut Section<'_>) -> ConfirmationSource {
    match root.members.get("confirmation") {
        Some(Value::Object(_)) => {
            let mut section = root.section("confirmation");
            let property = section.property(&[]);
            section.finish();
            ConfirmationSource::Property(property)
        }
        _ => {
            if root.value("confirmation", "token".to_owned()) != "token" {
                root.mistake("confirmation", "must be \"token\" or {\"property\": [..]}");
            }
            ConfirmationSource::Token
        }
    }
}

/// One object of the configuration, from which known keys are taken until the unknown are left.
struct Section<'m> {
    path: String,
    members: Map<String, Value>,
    mistakes: &'m mut Vec<String>,
}

impl Section<'_> {
    fn value<T: DeserializeOwned>(&mut self, key: &str, default: T) -> T {
        let Some(value) = self.members.remove(key) else {
            return default;
        };
        serde_json::from_value(value).unwrap_or_else(|error| {
            self.mistake(key, &error.to_string());
            default
        })
    }

    fn section(&mut self, key: &str) -> Section<'_> {
        let path = self.path_of(key);
        let members = self.value(key, Map::new());
        Section {
            path: path + ".",
            members,
            mistakes: self.mistakes,
        }
    }

    fn source<E: DeserializeOwned>(&mut self, key: &str, path: &[&str], encoding: E) -> Source<E> {
        let mut section = self.section(key);
        let source = Source {
            property: section.property(path),
            encoding: section.value("encoding", encoding),
        };
        section.finish();
        source
    }

    fn property(&mut self, default: &[&str]) -> PropertyPath {
        let default = default.iter().map(|&part| part.to_owned()).collect();
        let path: PropertyPath = self.value("property", default);
        if path.is_empty()
            || path
                .iter()
                .any(|part| part.is_empty() || part.contains('\0'))
        {
            self.mistake("property", "must be a list of one or more non-empty names");
        }
        path
    }

    fn seconds(&mut self, key: &str, default: u64) -> u64 {
        let Seconds(seconds) = self.value(key, Seconds(default));
        seconds
    }

    fn count(&mut self, key: &str, range: RangeInclusive<usize>, default: usize) -> usize {
        let count = self.value(key, default);
        if !range.contains(&count) {
            let (least, most) = range.into_inner();
            self.mistake(key, &format!("must be {least} to {most}"));
        }
        count
    }

    fn finish(self) {
        for key in self.members.keys() {
            self.mistakes
                .push(format!("{}{key}: unknown key", self.path));
        }
    }

    fn mistake(&mut self, key: &str, what: &str) {
        let path = self.path_of(key);
        self.mistakes.push(format!("{path}: {what}"));
    }

    fn path_of(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }
}

/// A duration as protobuf's JSON writes it: whole seconds and `s`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Seconds(u64);

impl TryFrom<String> for Seconds {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text
            .strip_suffix('s')
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.and_then(|digits| digits.parse().ok()) {
            Some(seconds) if seconds <= MAX_CONFIG_SECONDS => Ok(Self(seconds)),
            _ => Err(format!(
                "must be a duration such as \"300s\", at most \"{MAX_CONFIG_SECONDS}s\""
            )),
        }
    }
}
