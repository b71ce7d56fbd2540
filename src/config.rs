//! The plugin's configuration: JSON in, validated values out, every mistake reported at once with its
//! path. Unknown keys are mistakes; a missing key takes its default, so `{}` is a configuration.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cache::CacheLimits;
use crate::certificate::CertificateEncoding;
use crate::challenge::ChallengeRules;
use crate::elsewhere::TokensElsewhere;
use crate::exporter::ExporterEncoding;
use crate::json;
use crate::limits::{MAX_ACCESS_TOKEN_BYTES, MAX_CONFIG_BYTES};
use crate::policy::Policy;
use crate::proof::RequestClaims;
use crate::replay;
use crate::target_uri::ClientAuthorities;

mod parts;
mod rules;
mod section;

use parts::{
    read_cache, read_challenge, read_client_authority, read_confirmation, read_tokens_elsewhere,
    read_verified_header,
};
use rules::read_policy;
use section::Section;

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
