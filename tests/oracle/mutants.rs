//! Genuine proofs, changed: in their text, in the JSON that is then signed again, or in the signature.

use tls_session_binding::base64url;

use crate::common::judge::Situation;
use crate::common::keys::Key;
use crate::common::recipe::Recipe;
use crate::common::scene::Scene;
use crate::random::Random;
use crate::words;

/// A client on its connection, and what its proof is made of.
pub(crate) struct Client {
    pub(crate) situation: Situation,
    key: Key,
    algorithms: &'static [&'static str],
    header: Members,
    claims: Members,
    thief: Key,
}

/// Members of a JSON object, each name and value as text.
type Members = Vec<(String, String)>;

const CLIENTS: [(&str, &[&str]); 4] = [
    ("p256", &["ES256"]),
    ("ed25519", &["EdDSA"]),
    ("p384", &["ES384"]),
    ("rsa-2048", &["RS256", "PS256", "RS512"]),
];

impl Client {
    pub(crate) fn all() -> Vec<Self> {
        CLIENTS
            .iter()
            .map(|(name, algorithms)| Self::new(name, algorithms))
            .collect()
    }

    fn new(name: &str, algorithms: &'static [&'static str]) -> Self {
        let recipe = Recipe {
            client: Some(name.to_owned()),
            ..Recipe::default()
        };
        let situation = Scene::default().situation(&recipe);
        let part = |at: usize| {
            members(
                situation.proof[0]
                    .split(|&byte| byte == b'.')
                    .nth(at)
                    .unwrap(),
            )
        };
        let (header, claims) = (part(0), part(1));
        Self {
            header,
            claims,
            situation,
            key: Key::read(name),
            algorithms,
            thief: Key::read("thief"),
        }
    }
}

/// The members of a flat object, as they stand there.
fn members(part: &[u8]) -> Members {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&base64url::decode(part).unwrap()).unwrap();
    object
        .iter()
        .map(|(name, value)| (name.clone(), value.to_string()))
        .collect()
}

/// A client's number and a proof that it, or somebody else, may have sent.
pub(crate) fn mutant(clients: &[Client], random: &mut Random) -> (usize, Vec<u8>) {
    // The fast algorithms more often: a mutant shall not wait for its signature.
    let number = match random.below(40) {
        0 => 3,
        1 => 2,
        2..15 => 0,
        _ => 1,
    };
    let client = &clients[number];
    let (mut header, mut claims) = (client.header.clone(), client.claims.clone());
    let algorithm = *random.pick(client.algorithms);
    set(&mut header, "alg", format!("\"{algorithm}\""));
    let kind = random.below(10);
    if (2..8).contains(&kind) {
        for _ in 0..=random.below(2) {
            let (part, now) = if random.below(5) < 2 {
                (&mut header, None)
            } else {
                (&mut claims, Some(client.situation.now))
            };
            change_members(part, now, random);
        }
    }
    let mut texts = [&header, &claims].map(|part| object(part, random));
    if kind == 8 {
        change_bytes(&mut texts[random.below(2)], random);
    }
    let input = texts.map(|text| base64url::encode(&text)).join(".");
    let mut signature = client.key.sign(algorithm, input.as_bytes());
    if kind == 9 {
        change_signature(client, algorithm, input.as_bytes(), &mut signature, random);
    }
    let mut proof = format!("{input}.{}", base64url::encode(&signature)).into_bytes();
    if kind == 1 {
        change_bytes(&mut proof, random);
    }
    (number, proof)
}

fn set(members: &mut Members, name: &str, value: String) {
    if let Some(member) = members.iter_mut().find(|member| member.0 == name) {
        member.1 = value;
    }
}

fn change_members(members: &mut Members, now: Option<u64>, random: &mut Random) {
    let at = random.below(members.len().max(1)).min(members.len());
    let kind = random.below(8);
    match (kind, now) {
        (0, _) if at < members.len() => drop(members.remove(at)),
        (1, _) if at < members.len() => members[at].1 = words::value(random),
        (2, _) if at < members.len() => members[at].0 = words::any(words::NAMES, random),
        (3, _) => members.reverse(),
        (4, None) => set(members, "typ", words::any(words::TYPES, random)),
        (4, Some(_)) => members.push(("htu".to_owned(), words::any(words::TARGETS, random))),
        (5 | 6, Some(now)) => {
            let time = now.saturating_add_signed(*random.pick(words::OFFSETS));
            let name = words::any(&["iat", "iat", "exp", "nbf"], random);
            members.retain(|member| member.0 != name);
            members.push((name, format!("{time}{}", random.pick(words::TIME_FORMS))));
        }
        _ => members.insert(at, (words::any(words::NAMES, random), words::value(random))),
    }
}

/// The object, now and then with white space that JSON allows, or does not.
fn object(members: &Members, random: &mut Random) -> Vec<u8> {
    let mut space = || match random.below(60) {
        0 => " ",
        1 => "\n\t",
        2 => "\u{a0}",
        _ => "",
    };
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("{}\"{name}\"{}:{}{value}", space(), space(), space()))
        .collect();
    format!("{{{}{}}}{}", members.join(","), space(), space()).into_bytes()
}

fn change_bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    const PIECES: [&[u8]; 12] = [
        b".", b"=", b" ", b"\0", b"A", b"-", b"+", b"\xff", b",", b"}", b"\"", b"\r\n",
    ];
    for _ in 0..=random.below(2) {
        let at = random.below(bytes.len().max(1)).min(bytes.len());
        match random.below(5) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            3 => bytes.extend_from_within(at..),
            _ => drop(bytes.splice(at..at, random.pick(&PIECES).iter().copied())),
        }
    }
}

fn change_signature(
    client: &Client,
    algorithm: &str,
    input: &[u8],
    signature: &mut Vec<u8>,
    random: &mut Random,
) {
    let half = signature.len() / 2;
    match random.below(8) {
        0 => *signature = client.thief.sign("ES256", input),
        1 => drop(signature.pop()),
        2 => signature.push(0),
        3 => signature[..half].fill(0),
        4 => signature.rotate_left(half),
        5 => *signature = client.key.sign(other_hash(algorithm), input),
        6 => signature.insert(0, 0),
        _ => signature[random.below(half * 2)] ^= 1 << random.below(8),
    }
}

fn other_hash(algorithm: &str) -> &'static str {
    if algorithm.ends_with("256") {
        "RS384"
    } else {
        "ES256"
    }
}
