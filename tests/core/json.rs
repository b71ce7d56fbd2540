//! The texts of `JSONTestSuite`, read as this crate reads JSON. Where it decides otherwise than the suite, or where the
//! suite leaves it open, `decisions.json` says what and why, and nothing else.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tls_session_binding::json;

use crate::common::files;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    #[serde(rename = "about")]
    _about: String,
    texts: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    accept: bool,
    #[serde(rename = "reason")]
    _reason: String,
    texts: Vec<String>,
}

fn decisions() -> BTreeMap<String, bool> {
    let decisions: Vec<Decision> = files::read_json("json-corpus/decisions.json");
    let each = decisions.into_iter().flat_map(|decision| {
        let accept = decision.accept;
        decision.texts.into_iter().map(move |text| (text, accept))
    });
    each.collect()
}

#[test]
fn every_text_of_the_json_corpus_is_read_as_the_suite_wants_or_as_decided() {
    let corpus: Corpus = files::read_json("json-corpus/texts.json");
    let mut decisions = decisions();
    let mut failures = Vec::new();
    for (name, text) in &corpus.texts {
        let wanted = match name.chars().next() {
            Some('y') => Some(true),
            Some('n') => Some(false),
            _ => None,
        };
        let decided = decisions.remove(name);
        let accepted = json::check(&STANDARD.decode(text).unwrap()).is_ok();
        let is_needed = decided.is_some() && decided != wanted;
        if Some(accepted) != decided.or(wanted) || (decided.is_some() && !is_needed) {
            failures.push(format!(
                "{name}: accepted {accepted}, wanted {wanted:?}, decided {decided:?}"
            ));
        }
    }
    println!("{} texts", corpus.texts.len());
    assert!(corpus.texts.len() > 300);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(decisions.is_empty(), "no such text: {decisions:?}");
}

/// The two texts of the suite that are too long to keep.
#[test]
fn a_hundred_thousand_open_brackets_are_refused_without_overflow() {
    for piece in ["[", "[{\"\":"] {
        assert!(json::check(piece.repeat(100_000).as_bytes()).is_err());
    }
}
