//! Turns recipes into the bytes of requests: a genuine client, its connection and its token, and what
//! an attacker may have instead.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::judge::Situation;
use super::keys::{Key, hs256};
use super::recipe::{Jws, Recipe};
use super::template::{Names, Value};
use super::{der, files, parts};

/// What differs between a file of static vectors and a live connection.
pub(crate) struct Scene {
    pub(crate) now: u64,
    pub(crate) exporter: [u8; 32],
    pub(crate) other_exporter: [u8; 32],
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            now: 1_800_000_000,
            exporter: Sha256::digest("the genuine connection").into(),
            other_exporter: Sha256::digest("another connection").into(),
        }
    }
}

type Members = [(&'static str, &'static str)];

const TOKEN_HEADER: &Members = &[("typ", r#""at+jwt""#), ("alg", r#""${alg}""#)];
const TOKEN_CLAIMS: &Members = &[
    ("iss", r#""https://issuer.example""#),
    ("aud", r#""https://service.example""#),
    ("sub", r#""user""#),
    ("exp", "${now+3600}"),
    (
        "cnf",
        r#"{"x5t#S256":"${x5t}","tls_exp":"EXPORTER-oauth-tls-session-bound"}"#,
    ),
];
const PROOF_HEADER: &Members = &[
    ("typ", r#""tls-binding-proof+jwt""#),
    ("alg", r#""${alg}""#),
    ("x5t#S256", r#""${x5t}""#),
];
const PROOF_CLAIMS: &Members = &[
    ("ath", r#""${ath}""#),
    ("ekm", r#""${ekm}""#),
    ("iat", "${now}"),
];

impl Scene {
    pub(crate) fn situation(&self, recipe: &Recipe) -> Situation {
        let mut names = self.connection_names(recipe);
        add_token(&mut names, &recipe.token);
        let proof = jws(
            &names,
            &recipe.proof,
            PROOF_HEADER,
            PROOF_CLAIMS,
            client_name(recipe),
        );
        names.set("proof", Value::raw(proof));
        let one = |template: &Option<String>, genuine: &str| {
            names.expand(template.as_deref().unwrap_or(genuine))
        };
        let many = |templates: &Option<Vec<String>>, genuine: &str| match templates {
            Some(templates) => templates
                .iter()
                .map(|template| names.expand(template))
                .collect(),
            None => vec![names.expand(genuine)],
        };
        Situation {
            config: config(recipe, &names),
            exporter: one(&recipe.exporter, "${ekm}"),
            certificate: one(&recipe.certificate, "${certificate}"),
            now: recipe.now.unwrap_or(self.now),
            method: one(&recipe.method, "GET"),
            authority: one(&recipe.authority, "service.example"),
            path: one(&recipe.path, "/orders?page=2"),
            authorization: many(&recipe.authorization, "Bearer ${token}"),
            proof: many(&recipe.session_binding_proof, "${proof}"),
            headers: headers(recipe, &names),
            claims: recipe.claims.as_ref().map(|text| claims(text, &names)),
            connection_id: recipe.connection_id.unwrap_or(7),
            is_redirected: recipe.is_redirected,
        }
    }

    fn connection_names(&self, recipe: &Recipe) -> Names {
        let mut names = Names::default();
        names.set(
            "now",
            Value::raw(recipe.now.unwrap_or(self.now).to_string()),
        );
        names.set("ekm", Value::base64url(self.exporter));
        names.set("other.ekm", Value::base64url(self.other_exporter));
        let certificate = files::read_pem(&format!("certificates/{}.pem", client_name(recipe)));
        names.set("spki", Value::base64(der::spki_of(&certificate)));
        let certificate = match &recipe.client_spki {
            Some(spki) => der::with_spki(&certificate, &names.expand(spki)),
            None => certificate,
        };
        let thief = files::read_pem("certificates/thief.pem");
        names.set(
            "x5t",
            Value::base64url(Sha256::digest(&certificate).to_vec()),
        );
        names.set(
            "other.x5t",
            Value::base64url(Sha256::digest(&thief).to_vec()),
        );
        names.set("certificate", Value::base64(certificate));
        names.set("other.certificate", Value::base64(thief));
        names
    }
}

fn client_name(recipe: &Recipe) -> &str {
    recipe.client.as_deref().unwrap_or("p256")
}

fn headers(recipe: &Recipe, names: &Names) -> Vec<(String, Vec<u8>)> {
    let headers = recipe.headers.iter();
    headers
        .map(|(name, template)| (name.clone(), names.expand(template)))
        .collect()
}

fn claims(template: &str, names: &Names) -> serde_json::Value {
    serde_json::from_slice(&names.expand(template)).unwrap()
}

fn config(recipe: &Recipe, names: &Names) -> Vec<u8> {
    match (&recipe.config, &recipe.config_text) {
        (None, None) => b"{}".to_vec(),
        (Some(config), None) => config.to_string().into(),
        (None, Some(text)) => names.expand(text),
        _ => panic!("config and config_text"),
    }
}

fn add_token(names: &mut Names, recipe: &Jws) {
    let hash = |text: &[u8]| Value::base64url(Sha256::digest(text).to_vec());
    let token = jws(names, recipe, TOKEN_HEADER, TOKEN_CLAIMS, "issuer");
    let mut other = recipe.clone();
    other
        .claims
        .insert("sub".to_owned(), Some(r#""another user""#.to_owned()));
    let other = jws(names, &other, TOKEN_HEADER, TOKEN_CLAIMS, "issuer");
    names.set("ath", hash(&token));
    names.set("ath.lower", hash(&token.to_ascii_lowercase()));
    names.set("ath.header", hash(&[b"Bearer ", token.as_slice()].concat()));
    names.set("other.ath", hash(&other));
    names.set("token", Value::raw(token));
    names.set("other.token", Value::raw(other));
}

fn jws(names: &Names, recipe: &Jws, header: &Members, claims: &Members, key: &str) -> Vec<u8> {
    let mut names = names.clone();
    let key = recipe.key.as_deref().unwrap_or(key);
    let key = signer(key);
    let algorithm = recipe.alg.as_deref().unwrap_or(key.default_algorithm());
    names.set("alg", Value::raw(algorithm));
    let header = json(
        &names,
        header,
        &recipe.header,
        recipe.header_text.as_deref(),
    );
    let claims = json(
        &names,
        claims,
        &recipe.claims,
        recipe.claims_text.as_deref(),
    );
    names.set("header", Value::base64url(header));
    names.set("payload", Value::base64url(claims));
    let message = names.expand(
        recipe
            .signing_input
            .as_deref()
            .unwrap_or("${header}.${payload}"),
    );
    let signature = match recipe.sign.as_deref().unwrap_or(algorithm) {
        "none" => Vec::new(),
        "HS256" => hs256(&names.expand(recipe.secret.as_deref().unwrap()), &message),
        method => key.sign(method, &message),
    };
    parts::add(&mut names, &key, &signature);
    names.set("signature", Value::base64url(signature));
    if let Some(signature) = &recipe.signature {
        names.set("signature", Value::base64url(names.expand(signature)));
    }
    names.expand(
        recipe
            .compact
            .as_deref()
            .unwrap_or("${header}.${payload}.${signature}"),
    )
}

/// The key's, or the default one's where there is only a certificate: a signature that is never
/// looked at must be there all the same.
fn signer(name: &str) -> Key {
    let exists = files::path(&format!("keys/{name}.pem")).exists();
    Key::read(if exists { name } else { "p256" })
}

fn json(
    names: &Names,
    genuine: &Members,
    changes: &BTreeMap<String, Option<String>>,
    text: Option<&str>,
) -> Vec<u8> {
    if let Some(text) = text {
        return names.expand(text);
    }
    let kept = genuine
        .iter()
        .filter_map(|&(name, value)| match changes.get(name) {
            Some(change) => change.as_ref().map(|value| (name, value.as_str())),
            None => Some((name, value)),
        });
    let is_new = |name: &str| genuine.iter().all(|&(genuine, _)| genuine != name);
    let added = changes
        .iter()
        .filter(|(name, _)| is_new(name))
        .filter_map(|(name, value)| value.as_ref().map(|value| (name.as_str(), value.as_str())));
    let members: Vec<Vec<u8>> = kept
        .chain(added)
        .map(|(name, value)| [format!("\"{name}\":").into_bytes(), names.expand(value)].concat())
        .collect();
    [b"{".as_slice(), &members.join(&b','), b"}"].concat()
}
