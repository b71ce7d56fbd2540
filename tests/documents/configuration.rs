//! Keys and defaults of the filter's configuration.

use std::collections::BTreeSet;

use tls_session_binding::config::Config;

use super::{read, table};

/// The rows of the reference: key, default, meaning.
fn rows(reference: &str) -> Vec<[&str; 3]> {
    table(reference, "## Configuration of the filter")
}

#[test]
fn every_configuration_key_is_documented_and_exists() {
    let reference = read("docs/reference.md");
    let documented: BTreeSet<_> = rows(&reference)
        .iter()
        .flat_map(|[keys, ..]| documented_keys(keys))
        .collect();
    let code = ["", "/rules", "/parts"].map(|part| read(&format!("src/config{part}.rs")));
    let code = code.concat();
    let (_, claims) = code.split_once("fn read_required_claims(").unwrap();
    let (claims, _) = claims.split_once("\n}\n").unwrap();
    let root = keys(&code, "root").chain(keys(claims, "section"));
    let in_code: BTreeSet<_> = root.chain(section_keys(&code)).collect();
    // Sections are documented by their keys.
    let sections = [
        "exporter",
        "client_certificate",
        "cache",
        "tokens_elsewhere",
    ]
    .map(ToOwned::to_owned);
    let in_code: BTreeSet<_> = in_code.difference(&sections.into()).cloned().collect();
    assert_eq!(documented, in_code);
}

#[test]
fn every_key_of_a_rule_is_documented() {
    let reference = read("docs/reference.md");
    let (_, text) = reference.split_once("Each of the `rules` has").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    let code = read("src/config/rules.rs");
    let (_, rule) = code.split_once("fn read_rule(").unwrap();
    let (rule, _) = rule.split_once("fn refuse_same_names").unwrap();
    let found: Vec<_> = keys(rule, "section").collect();
    assert!(found.len() >= 6, "{found:?}");
    for key in found {
        assert!(text.contains(&format!("`{key}`")), "{key}");
    }
}

/// The keys of a cell; one that begins with a dot differs from the first in its last part.
fn documented_keys(cell: &str) -> Vec<String> {
    let keys: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
    let first = keys.first().copied().unwrap_or_default();
    let stem = first.rsplit_once('.').map_or("", |(stem, _)| stem);
    let full = |key: &&str| match key.strip_prefix('.') {
        Some(last) => format!("{stem}.{last}"),
        None => (*key).to_owned(),
    };
    keys.iter().map(full).collect()
}

/// What the table calls a default changes nothing when it is written out.
#[test]
fn every_default_is_that_of_the_code() {
    let reference = read("docs/reference.md");
    let mut compared = 0;
    for [key, default, _] in rows(&reference) {
        let words: Vec<_> = default.split('`').skip(1).step_by(2).collect();
        let value = match words[..] {
            // There is none.
            [] => continue,
            [list] if list.contains(' ') && !list.starts_with('[') => {
                format!(r#"["{}"]"#, list.replace(' ', r#"",""#))
            }
            [value] if value.starts_with('[') || value.parse::<u64>().is_ok() => value.to_owned(),
            [value] => format!(r#""{value}""#),
            _ => panic!("{default}"),
        };
        let key = &documented_keys(key)[0];
        let text = match key.split_once('.') {
            Some((section, key)) => format!(r#"{{"{section}":{{"{key}":{value}}}}}"#),
            None => format!(r#"{{"{key}":{value}}}"#),
        };
        assert_eq!(
            Config::parse(text.as_bytes()),
            Config::parse(b"{}"),
            "{text}"
        );
        compared += 1;
    }
    assert!(compared >= 15, "{compared}");
}

/// Keys that a function of the configuration's reader takes from a section of that name.
fn keys<'a>(code: &'a str, section: &str) -> impl Iterator<Item = String> + use<'a> {
    let call = format!("{section}.");
    let calls: Vec<_> = code.split(&call).skip(1).collect();
    calls.into_iter().filter_map(|rest| {
        let (method, arguments) = rest.split_once('(')?;
        let takes = [
            "value", "source", "seconds", "section", "sections", "count", "names",
        ];
        let argument = arguments.trim_start().strip_prefix('"')?;
        let key = argument.split_once('"')?.0.to_owned();
        takes.contains(&method).then_some(key)
    })
}

fn section_keys(code: &str) -> impl Iterator<Item = String> {
    let (_, cache) = code.split_once("fn read_cache(").unwrap();
    let (cache, _) = cache.split_once("\n}\n").unwrap();
    let cache = cache.replace("section\n            .", "section.");
    let cache = keys(&cache, "section");
    let cache: Vec<_> = cache.map(|key| format!("cache.{key}")).collect();
    let (_, places) = code.split_once("fn read_tokens_elsewhere(").unwrap();
    let (places, _) = places.split_once("\n}\n").unwrap();
    let places = keys(places, "section").map(|key| format!("tokens_elsewhere.{key}"));
    let cache = cache.into_iter().chain(places);
    let sources = ["exporter", "client_certificate"];
    let keys = ["property", "encoding"];
    let sources = sources.map(|source| keys.map(|key| format!("{source}.{key}")));
    cache.chain(sources.into_iter().flatten())
}
