//! One object of the configuration, read key by key.

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{PropertyPath, Source};
use crate::limits::{MAX_CONFIG_SECONDS, MAX_RULES};

/// One object of the configuration, from which known keys are taken until the unknown are left.
pub(super) struct Section<'m> {
    pub(super) path: String,
    pub(super) members: Map<String, Value>,
    pub(super) mistakes: &'m mut Vec<String>,
}

impl Section<'_> {
    pub(super) fn value<T: DeserializeOwned>(&mut self, key: &str, default: T) -> T {
        let Some(value) = self.members.remove(key) else {
            return default;
        };
        serde_json::from_value(value).unwrap_or_else(|error| {
            self.mistake(key, &error.to_string());
            default
        })
    }

    pub(super) fn section(&mut self, key: &str) -> Section<'_> {
        let path = self.path_of(key);
        let members = self.value(key, Map::new());
        Section {
            path: path + ".",
            members,
            mistakes: self.mistakes,
        }
    }

    /// The objects of a list, with their paths.
    pub(super) fn sections(&mut self, key: &str) -> Vec<(String, Map<String, Value>)> {
        let path = self.path_of(key);
        let list: Vec<Map<String, Value>> = self.value(key, Vec::new());
        if list.len() > MAX_RULES {
            self.mistake(key, &format!("must be at most {MAX_RULES}"));
        }
        let numbered = list.into_iter().take(MAX_RULES).enumerate();
        numbered
            .map(|(index, members)| (format!("{path}[{index}]."), members))
            .collect()
    }

    pub(super) fn source<E: DeserializeOwned>(
        &mut self,
        key: &str,
        path: &[&str],
        encoding: E,
    ) -> Source<E> {
        let mut section = self.section(key);
        let source = Source {
            property: section.property(path),
            encoding: section.value("encoding", encoding),
        };
        section.finish();
        source
    }

    pub(super) fn property(&mut self, default: &[&str]) -> PropertyPath {
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

    /// A list of names, none of them empty.
    pub(super) fn names(&mut self, key: &str) -> Vec<String> {
        let names: Vec<String> = self.value(key, Vec::new());
        if names.len() > MAX_RULES || names.iter().any(String::is_empty) {
            self.mistake(
                key,
                &format!("must be at most {MAX_RULES} names, none empty"),
            );
        }
        names
    }

    pub(super) fn seconds(&mut self, key: &str, default: u64) -> u64 {
        let Seconds(seconds) = self.value(key, Seconds(default));
        seconds
    }

    pub(super) fn count(
        &mut self,
        key: &str,
        range: RangeInclusive<usize>,
        default: usize,
    ) -> usize {
        let count = self.value(key, default);
        if !range.contains(&count) {
            let (least, most) = range.into_inner();
            self.mistake(key, &format!("must be {least} to {most}"));
        }
        count
    }

    pub(super) fn finish(self) {
        for key in self.members.keys() {
            self.mistakes
                .push(format!("{}{key}: unknown key", self.path));
        }
    }

    pub(super) fn mistake(&mut self, key: &str, what: &str) {
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
pub(super) struct Seconds(pub(super) u64);

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
