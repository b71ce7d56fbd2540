//! Signatures by a third library, good ones and changed ones.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature as aws_lc;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tls_session_binding::algorithm::Algorithm;
use tls_session_binding_wasm_tests::Result;

use crate::common::{der, keys};
use crate::oracle::Question;
use crate::random::Random;

/// A question whose answer is known.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) question: Question,
    pub(crate) is_good: bool,
    /// What was done to it.
    #[allow(dead_code, reason = "shown when a verdict is wrong")]
    change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    /// ECDSA: `s` becomes `n - s`, which is as good.
    Negated,
    /// Ed25519: a nonce of zero, which only the key's holder can choose. Libraries differ over it.
    NoNonce,
    SignatureBit,
    MessageBit,
    Shorter,
    Longer,
    ZeroInFront,
    HalvesSwapped,
    FirstHalfZero,
    SecondHalfZero,
    OtherHash,
    OtherBytes,
}

const CHANGES: [Change; 17] = [
    Change::Nothing,
    Change::Nothing,
    Change::Nothing,
    Change::Negated,
    Change::NoNonce,
    Change::SignatureBit,
    Change::SignatureBit,
    Change::SignatureBit,
    Change::MessageBit,
    Change::Shorter,
    Change::Longer,
    Change::ZeroInFront,
    Change::HalvesSwapped,
    Change::FirstHalfZero,
    Change::SecondHalfZero,
    Change::OtherHash,
    Change::OtherBytes,
];

/// A key of the test vectors, and the algorithms that fit it.
pub(crate) struct Key {
    spki: Vec<u8>,
    signer: Signer,
    algorithms: &'static [Algorithm],
}

enum Signer {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// Keys as often as they are to be taken.
const KEYS: [&str; 8] = [
    "p256", "thief", "p256", "thief", "p384", "ed25519", "rsa-2048", "rsa-3072",
];
const RSA: &[Algorithm] = &[
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

pub(crate) fn keys() -> Result<Vec<Key>> {
    KEYS.iter().map(|name| Key::read(name)).collect()
}

impl Key {
    fn read(name: &str) -> Result<Self> {
        let pkcs8 = read_pem(&format!("keys/{name}.pem"))?;
        let ecdsa = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8).map(Signer::Ecdsa);
        let (signer, algorithms): (_, &[Algorithm]) = match name.split('-').next() {
            Some("p384") => (
                ecdsa(&aws_lc::ECDSA_P384_SHA384_FIXED_SIGNING)?,
                &[Algorithm::Es384],
            ),
            Some("ed25519") => (
                Signer::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8)?),
                &[Algorithm::EdDsa],
            ),
            Some("rsa") => (Signer::Rsa(RsaKeyPair::from_pkcs8(&pkcs8)?), RSA),
            _ => (
                ecdsa(&aws_lc::ECDSA_P256_SHA256_FIXED_SIGNING)?,
                &[Algorithm::Es256],
            ),
        };
        let spki = der::spki_of(&read_pem(&format!("certificates/{name}.pem"))?);
        Ok(Self {
            spki,
            signer,
            algorithms,
        })
    }

    fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        Ok(match &self.signer {
            Signer::Ecdsa(key) => key.sign(&random, message)?.as_ref().to_vec(),
            Signer::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Signer::Rsa(key) => {
                let encoding: &dyn aws_lc::RsaEncoding = match algorithm {
                    Algorithm::Rs256 => &aws_lc::RSA_PKCS1_SHA256,
                    Algorithm::Rs384 => &aws_lc::RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &aws_lc::RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &aws_lc::RSA_PSS_SHA256,
                    Algorithm::Ps384 => &aws_lc::RSA_PSS_SHA384,
                    _ => &aws_lc::RSA_PSS_SHA512,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut signature)?;
                signature
            }
        })
    }
}

fn read_pem(name: &str) -> Result<Vec<u8>> {
    let path = tls_session_binding_e2e::root()
        .join("tests/vectors")
        .join(name);
    let text = std::fs::read_to_string(path)?;
    Ok(STANDARD.decode(
        text.lines()
            .filter(|line| !line.starts_with('-'))
            .collect::<String>(),
    )?)
}

/// A signature of one of the keys, changed in some way or in none.
pub(crate) fn signature(keys: &[Key], random: &mut Random) -> Result<Signature> {
    let key = keys.get(random.below(keys.len())).ok_or("no key")?;
    let at = random.below(key.algorithms.len());
    let algorithm = |at: usize| key.algorithms.get(at % key.algorithms.len()).copied();
    let message = noise(random, 1 + usize::from(u8::MAX));
    let signature = key.sign(algorithm(at).ok_or("no algorithm")?, &message)?;
    let mut question = Question {
        algorithm: algorithm(at).ok_or("no algorithm")?,
        spki: key.spki.clone(),
        message,
        signature,
    };
    let mut change = *CHANGES
        .get(random.below(CHANGES.len()))
        .ok_or("no change")?;
    match change {
        Change::OtherHash if key.algorithms.len() > 1 => {
            question.algorithm = algorithm(at + 1).ok_or("no algorithm")?;
        }
        Change::NoNonce if matches!(key.signer, Signer::Ed25519(_)) => {
            let key = keys::Key::read("ed25519");
            question.signature = key.sign("EdDSA/identity", &question.message);
        }
        Change::Negated | Change::OtherHash | Change::NoNonce => match negated(&question) {
            Some(negated) => (question.signature, change) = (negated, Change::Negated),
            None => change = Change::Nothing,
        },
        Change::MessageBit => flip(&mut question.message, random),
        _ => change_bytes(change, &mut question.signature, random),
    }
    let is_good = matches!(change, Change::Nothing | Change::Negated);
    Ok(Signature {
        question,
        is_good,
        change,
    })
}

fn change_bytes(change: Change, signature: &mut Vec<u8>, random: &mut Random) {
    let half = signature.len() / 2;
    match change {
        Change::SignatureBit => flip(signature, random),
        Change::Shorter => drop(signature.pop()),
        Change::Longer => signature.push(0),
        Change::ZeroInFront => signature.insert(0, 0),
        Change::HalvesSwapped => signature.rotate_left(half),
        Change::FirstHalfZero => signature.iter_mut().take(half).for_each(|byte| *byte = 0),
        Change::SecondHalfZero => signature.iter_mut().skip(half).for_each(|byte| *byte = 0),
        Change::OtherBytes => *signature = noise(random, signature.len()),
        Change::Nothing
        | Change::Negated
        | Change::NoNonce
        | Change::MessageBit
        | Change::OtherHash => {}
    }
}

fn flip(bytes: &mut [u8], random: &mut Random) {
    let at = random.below(bytes.len());
    let bit = random.below(8);
    bytes
        .iter_mut()
        .skip(at)
        .take(1)
        .for_each(|byte| *byte ^= 1 << bit);
}

fn noise(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length)
        .map(|_| random.next().to_be_bytes()[0])
        .collect()
}

fn negated(question: &Question) -> Option<Vec<u8>> {
    let bytes = &question.signature;
    match question.algorithm {
        Algorithm::Es256 => {
            let (r, s) = p256::ecdsa::Signature::from_slice(bytes)
                .ok()?
                .split_scalars();
            Some(
                p256::ecdsa::Signature::from_scalars(r, -s)
                    .ok()?
                    .to_bytes()
                    .to_vec(),
            )
        }
        Algorithm::Es384 => {
            let (r, s) = p384::ecdsa::Signature::from_slice(bytes)
                .ok()?
                .split_scalars();
            Some(
                p384::ecdsa::Signature::from_scalars(r, -s)
                    .ok()?
                    .to_bytes()
                    .to_vec(),
            )
        }
        _ => None,
    }
}
