//! A proof that was good until something of it changed: never accepted.

use tls_session_binding::base64url;

use crate::common::judge::{Judge, Situation};
use crate::common::recipe::Recipe;
use crate::common::scene::Scene;

/// A client's key and an algorithm that fits it, one of each primitive.
const SIGNERS: [(&str, &str); 5] = [
    ("p256", "ES256"),
    ("p384", "ES384"),
    ("ed25519", "EdDSA"),
    ("rsa-2048", "RS256"),
    ("rsa-2048", "PS256"),
];

fn genuine(client: &str, algorithm: &str) -> Situation {
    let mut recipe = Recipe {
        client: Some(client.to_owned()),
        ..Recipe::default()
    };
    recipe.proof.alg = Some(algorithm.to_owned());
    let situation = Scene::default().situation(&recipe);
    assert!(
        accepts(&situation, situation.proof[0].clone()),
        "{algorithm}"
    );
    situation
}

/// Whether the request is accepted with this proof in the genuine one's place.
fn accepts(situation: &Situation, proof: Vec<u8>) -> bool {
    let situation = Situation {
        proof: vec![proof],
        ..situation.clone()
    };
    Judge::default().judge(&situation).is_accepted()
}

/// Every text with one bit of `bytes` the other way; where a verification is dear, one bit of each byte.
fn flips(algorithm: &str, bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let all = matches!(algorithm, "ES256" | "EdDSA");
    let bits = (0..bytes.len() * 8).filter(move |bit| all || bit % 8 == bit / 8 % 8);
    bits.map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.join(&b'.')
}

fn parts(proof: &[u8]) -> Vec<Vec<u8>> {
    proof
        .split(|&byte| byte == b'.')
        .map(<[u8]>::to_vec)
        .collect()
}

#[test]
fn no_bit_of_a_proof_can_be_flipped() {
    for (client, algorithm) in SIGNERS {
        let situation = genuine(client, algorithm);
        for flipped in flips(algorithm, &situation.proof[0]) {
            let shown = String::from_utf8_lossy(&flipped).into_owned();
            assert!(!accepts(&situation, flipped), "{algorithm}: {shown}");
        }
    }
}

#[test]
fn no_bit_of_a_decoded_part_can_be_flipped() {
    for (client, algorithm) in SIGNERS {
        let situation = genuine(client, algorithm);
        let genuine = parts(&situation.proof[0]);
        for part in 0..genuine.len() {
            for flipped in flips(algorithm, &base64url::decode(&genuine[part]).unwrap()) {
                let mut changed = genuine.clone();
                changed[part] = base64url::encode(&flipped).into_bytes();
                let shown = String::from_utf8_lossy(&flipped).into_owned();
                assert!(
                    !accepts(&situation, join(&changed)),
                    "{algorithm} part {part}: {shown}"
                );
            }
        }
    }
}

#[test]
fn no_byte_of_a_proof_can_be_left_out_or_doubled() {
    for (client, algorithm) in SIGNERS {
        let situation = genuine(client, algorithm);
        let genuine = &situation.proof[0];
        for index in 0..genuine.len() {
            let (before, after) = genuine.split_at(index);
            assert!(
                !accepts(&situation, [before, &after[1..]].concat()),
                "{algorithm} -{index}"
            );
            assert!(
                !accepts(&situation, [before, &after[..1], after].concat()),
                "{algorithm} +{index}"
            );
            assert!(
                !accepts(&situation, before.to_vec()),
                "{algorithm} cut at {index}"
            );
        }
    }
}

#[test]
fn no_byte_can_be_put_before_behind_or_between_the_parts() {
    let situation = genuine("p256", "ES256");
    let genuine = &situation.proof[0];
    let dots = (0..genuine.len()).filter(|&index| genuine[index] == b'.');
    let places: Vec<usize> = dots
        .flat_map(|dot| [dot, dot + 1])
        .chain([0, genuine.len()])
        .collect();
    for place in places {
        for byte in 0..=255 {
            let (before, after) = genuine.split_at(place);
            assert!(
                !accepts(&situation, [before, &[byte], after].concat()),
                "{byte} at {place}"
            );
        }
    }
}

/// Strict base64url: some bytes have exactly one encoding, so that a proof cannot be rewritten.
#[test]
fn no_other_text_stands_for_the_same_bytes() {
    let situation = genuine("p256", "ES256");
    let genuine = parts(&situation.proof[0]);
    for part in 0..genuine.len() {
        let text = &genuine[part];
        let last = text.len() - 1;
        let ends = (0..=255).map(|byte| [&text[..last], &[byte]].concat());
        let padded = (1..=3).map(|count| [text.as_slice(), &b"="[..].repeat(count)].concat());
        for other in ends.chain(padded).filter(|other| other != text) {
            let mut changed = genuine.clone();
            changed[part] = other;
            assert!(!accepts(&situation, join(&changed)), "{part}");
        }
    }
}

#[test]
fn no_part_of_a_good_proof_fits_another() {
    let situation = genuine("p256", "ES256");
    let mut recipe = Recipe::default();
    recipe
        .proof
        .claims
        .insert("jti".to_owned(), Some("\"1\"".to_owned()));
    recipe
        .proof
        .header
        .insert("kid".to_owned(), Some("\"1\"".to_owned()));
    let other = Scene::default().situation(&recipe);
    assert!(accepts(&situation, other.proof[0].clone()));
    let (one, other) = (parts(&situation.proof[0]), parts(&other.proof[0]));
    for mask in 1..7 {
        let mixed: Vec<Vec<u8>> = (0..3)
            .map(|part| {
                if mask >> part & 1 == 0 {
                    one[part].clone()
                } else {
                    other[part].clone()
                }
            })
            .collect();
        assert!(!accepts(&situation, join(&mixed)), "{mask:03b}");
    }
}
