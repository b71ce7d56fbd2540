//! The parts of a configuration that are no rules.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ConfirmationSource;
use super::section::{Seconds, Section};
use crate::cache::CacheLimits;
use crate::challenge::{ChallengeRules, ErrorDescription, is_quotable};
use crate::elsewhere::TokensElsewhere;
use crate::limits::{MAX_CACHED_CONNECTIONS, MAX_CACHED_TOKENS, MAX_SHARED_BYTES};
use crate::proof;
use crate::target_uri::ClientAuthorities;

pub(super) fn read_confirmation(root: &mut Section<'_>) -> ConfirmationSource {
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

pub(super) fn read_tokens_elsewhere(root: &mut Section<'_>) -> TokensElsewhere {
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

pub(super) fn read_cache(root: &mut Section<'_>) -> CacheLimits {
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

pub(super) fn read_verified_header(root: &mut Section<'_>) -> Option<String> {
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

pub(super) fn read_challenge(root: &mut Section<'_>) -> ChallengeRules {
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

pub(super) fn read_client_authority(root: &mut Section<'_>) -> ClientAuthorities {
    let pairs: BTreeMap<String, String> = root.value("client_authority", BTreeMap::new());
    ClientAuthorities::parse(pairs).unwrap_or_else(|| {
        root.mistake(
            "client_authority",
            "must name pairs of authorities, such as {\"api.example\": \"api.example:8443\"}, each once",
        );
        ClientAuthorities::default()
    })
}
