//! Seeds out of the published vectors, and the dictionary.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

const DICTIONARY: &str = include_str!("../dictionary.txt");

/// The inputs that a target begins with.
///
/// # Panics
/// When the vectors cannot be read.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = match target {
        "access_token" => each_value("/request/authorization")
            .map(without_scheme)
            .collect(),
        "certificate" => certificates(),
        "config" => configs(),
        "host_values" => each_value("/connection").collect(),
        "json" => each_value("/request").flat_map(|jws| parts(&jws)).collect(),
        "module_config" => MODULE_CONFIGS
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .collect(),
        "proof" => each_value("/request/session_binding_proof").collect(),
        "request" => cases().iter().map(request).collect(),
        "shared_memory" => SHARED_VALUES.iter().map(|value| value.to_vec()).collect(),
        "socket" => SCRIPTS.iter().map(|script| script.to_vec()).collect(),
        "target_uri" => TARGETS
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .collect(),
        other => panic!("no such target: {other}"),
    };
    seeds.sort();
    seeds.dedup();
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds
}

/// The words of the dictionary, in libFuzzer's format of one quoted word a line.
pub fn dictionary() -> Vec<Vec<u8>> {
    let words = DICTIONARY
        .lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    words.map(unescape).collect()
}

/// The published cases.
pub fn cases() -> Vec<Value> {
    let vectors: Value = serde_json::from_str(&read(&vectors("proofs.json"))).expect("JSON");
    vectors["cases"].as_array().expect("cases").clone()
}

/// Every text at or below a member of the published cases.
fn each_value(pointer: &'static str) -> impl Iterator<Item = Vec<u8>> {
    cases().into_iter().flat_map(move |case| {
        let mut texts = Vec::new();
        collect(case.pointer(pointer).unwrap_or(&Value::Null), &mut texts);
        texts
    })
}

fn collect(value: &Value, texts: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => texts.push(text.clone().into_bytes()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(members) => members.values().for_each(|value| collect(value, texts)),
        _ => {}
    }
}

fn without_scheme(value: Vec<u8>) -> Vec<u8> {
    value.strip_prefix(b"Bearer ").unwrap_or(&value).to_vec()
}

/// The decoded header and payload of a JWS.
fn parts(jws: &[u8]) -> Vec<Vec<u8>> {
    let parts = jws.split(|&byte| byte == b'.').take(2);
    parts
        .filter_map(|part| URL_SAFE_NO_PAD.decode(part).ok())
        .collect()
}

fn certificates() -> Vec<Vec<u8>> {
    let files = fs::read_dir(vectors("certificates")).expect("certificates");
    let pems = files.map(|file| fs::read(file.expect("a file").path()).expect("a certificate"));
    let ders =
        each_value("/connection/client_certificate").filter_map(|text| STANDARD.decode(text).ok());
    pems.chain(ders).collect()
}

fn configs() -> Vec<Vec<u8>> {
    let texts = cases()
        .into_iter()
        .map(|case| case["config"].to_string().into_bytes());
    texts
        .chain(CONFIGS.iter().map(|text| text.as_bytes().to_vec()))
        .collect()
}

/// A line for each value, its kind in the first byte: configuration (G), time (N), exporter value (E),
/// certificate (C), method (M), authority (H), path (T), `Authorization` (A), proof (P), verified claims (K),
/// another header (X).
fn request(case: &Value) -> Vec<u8> {
    let request = &case["request"];
    let mut lines = vec![
        format!("G{}", case["config"]),
        format!("N{}", case["now"]),
        format!("E{}", text(&case["connection"]["exporter"])),
        format!("C{}", text(&case["connection"]["client_certificate"])),
        format!("M{}", text(&request["method"])),
        format!("H{}", text(&request["authority"])),
        format!("T{}", text(&request["path"])),
    ];
    for (kind, member) in [('A', "authorization"), ('P', "session_binding_proof")] {
        let values = request[member].as_array().into_iter().flatten();
        lines.extend(values.map(|value| format!("{kind}{}", text(value))));
    }
    if !request["claims"].is_null() {
        lines.push(format!("K{}", request["claims"]));
    }
    lines.join("\n").into_bytes()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn vectors(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/vectors")
        .join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Undoes `\\`, `\"` and `\xAB`.
fn unescape(word: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut left = word.as_bytes();
    while let Some((&first, rest)) = left.split_first() {
        left = rest;
        match (first, rest) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("hexadecimal digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
                left = after;
            }
            (b'\\', [escaped, after @ ..]) => {
                bytes.push(*escaped);
                left = after;
            }
            _ => bytes.push(first),
        }
    }
    bytes
}

const CONFIGS: &[&str] = &[
    "{}",
    r#"{"role":"purge"}"#,
    r#"{"exporter":{"property":["filter_state","x"],"encoding":"hex"},"client_certificate":{"property":["connection","peer_certificate"],"encoding":"pem"},"confirmation":{"property":["metadata","filter_metadata","envoy.filters.http.jwt_authn","payload"]},"algorithms":["ES256","PS512"],"max_proof_age":"60s","clock_tolerance":"0s","cache":{"connections":1,"tokens_per_connection":1,"max_binding_age":"5s"},"error_description":"code"}"#,
];

const MODULE_CONFIGS: &[&str] = &[
    r#"{"identity":{"certificate_chain":"a","private_key":"b"},"peer":{"ca":"c"},"tls":{"versions":["1.3"]}}"#,
    r#"{"identity":{"certificate_chain":"a","private_key":"b"},"peer":{"ca":"c","certificate":"optional","server_name":"d"},"tls":{"versions":["1.2","1.3"],"resumption":true,"alpn":["h2"]}}"#,
    r#"{"peer":{"allow":{"spiffe_ids":["spiffe://a/b"]},"crl":"x"}}"#,
];

const SHARED_VALUES: &[&[u8]] = &[
    b"",
    b"\x01",
    b"\x01\x07\0\0\0\0\0\0\0",
    b"\x01\x07\0\0\0\0\0\0\0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x01AAAAAAAA\xff\xff\xff\xff\xff\xff\xff\xff",
];

/// `htu`, `:authority` and `:path`, a line each.
const TARGETS: &[&str] = &[
    "https://service.example/orders\nservice.example\n/orders?page=2",
    "https://Service.Example:443/a/%7eb/../%2fc;p=1#f\nservice.EXAMPLE\n/a/%2e%2E/./b",
    "https://[::1]:8443/\n[::1]:8443\n/",
    "/path\nservice.example\n/path",
    "https://good@evil/\nevil\n/",
];

/// Scripts of [`crate::targets::socket`].
const SCRIPTS: &[&[u8]] = &[
    b"\x01\x04\x06\x01\x04\x07\x10\x01\x04\x05\x20\x06\x08\x01\x04",
    b"\x00\x05\x04\x00\x20\x04\x01\x04\x06\x01\x04\x0d\x07\x01\x01\x04\x0b",
    b"\x03\x10GET / HTTP/1.1\r\n\x04\x09\x04",
    b"\x01\x04\x06\x01\x02\x30\x04\x0c\x06\x01\x04",
    b"\x0a\x01\x01\x04\x06\x04\x06\x01\x04\x05\xff\x0a\x03\x05\xff\x06",
];
