//! What stands in the JSON of mutants.

use super::random::Random;

/// One of the words.
pub(crate) fn any(words: &[&str], random: &mut Random) -> String {
    (*random.pick(words)).to_owned()
}

/// A value for any member.
pub(crate) fn value(random: &mut Random) -> String {
    let list = *random.pick(&[VALUES, VALUES, TYPES, TARGETS, ALGORITHMS]);
    any(list, random)
}

pub(crate) const NAMES: &[&str] = &[
    "alg",
    "typ",
    "x5t#S256",
    "crit",
    "b64",
    "zip",
    "enc",
    "cty",
    "jwk",
    "jku",
    "kid",
    "x5c",
    "x5u",
    "x5t",
    "iat",
    "exp",
    "nbf",
    "jti",
    "htm",
    "htu",
    "ath",
    "ekm",
    "iss",
    "unknown",
    "\\u0061lg",
    "i\\u0061t",
    "",
    "Alg",
    "IAT",
    "nonce",
];

const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-1",
    "-0",
    "1.5",
    "1e3",
    "1e400",
    "1e-400",
    "9007199254740993",
    "18446744073709551616",
    "NaN",
    "01",
    "+1",
    "0x10",
    "'x'",
    "[]",
    "{}",
    "\"\"",
    "\"x\"",
    "[\"b64\"]",
    "{\"a\":1}",
    "{\"a\":1,\"a\":2}",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "[[[[[[[[[]]]]]]]]]",
    "{\"a\":[1,2.0,\"\\u00e9\"]}",
    "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
    "\"GET\"",
    "\"get\"",
    "\"POST\"",
];

const ALGORITHMS: &[&str] = &[
    "\"ES256\"",
    "\"EdDSA\"",
    "\"ES384\"",
    "\"RS256\"",
    "\"PS512\"",
    "\"none\"",
    "\"HS256\"",
    "\"es256\"",
];

pub(crate) const TYPES: &[&str] = &[
    "\"tls-binding-proof+jwt\"",
    "\"TLS-Binding-Proof+JWT\"",
    "\"application/tls-binding-proof+jwt\"",
    "\"JWT\"",
    "\"dpop+jwt\"",
    "\"application/application/tls-binding-proof+jwt\"",
    "\"tls-binding-proof+jwt \"",
    "\"tls\\u002dbinding-proof+jwt\"",
];

pub(crate) const TARGETS: &[&str] = &[
    "\"/orders\"",
    "\"/orders?page=3#top\"",
    "\"https://service.example/orders\"",
    "\"HTTPS://Service.Example:443/orders?x\"",
    "\"https://service.example/a/../orders\"",
    "\"https://service.example/%6frders\"",
    "\"https://service.example./orders\"",
    "\"https://good@service.example/orders\"",
    "\"https://service.example:8443/orders\"",
    "\"http://service.example/orders\"",
    "\"https://service.example/orders/\"",
    "\"https:///orders\"",
    "\"//service.example/orders\"",
];

/// Offsets of times from now: about the edges of every window.
pub(crate) const OFFSETS: &[i64] = &[
    -3600, -331, -330, -329, -301, -300, -31, -30, -29, -1, 0, 1, 29, 30, 31, 3600,
];
pub(crate) const TIME_FORMS: &[&str] = &[
    "",
    ".0",
    ".5",
    ".999999999",
    "e0",
    "E+0",
    "0e-1",
    "\"",
    ".",
    "e",
];
