//! The numbers that a signature consists of, for recipes that put it together wrongly.

use p256::elliptic_curve::PrimeField as _;
use rsa::traits::PublicKeyParts as _;

use super::keys::Key;
use super::template::{Names, Value, unhex};

const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const P384_ORDER: &str = "ffffffffffffffffffffffffffffffffffffffffffffffff\
                          c7634d81f4372ddf581a0db248b0a77aecec196accc52973";
/// Little-endian, as RFC 8032 writes it.
const ED25519_ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/// `r`, `s`, `-s`, `n` and `-r` of ECDSA, `r`, `s`, `s+l` and `l` of Ed25519, `n` and `sig+n` of RSA.
pub(crate) fn add(names: &mut Names, key: &Key, signature: &[u8]) {
    let mut set = |name: &str, bytes: Vec<u8>| names.set(name, Value::raw(bytes));
    let (r, s) = signature.split_at(signature.len() / 2);
    set("r", r.to_vec());
    set("s", s.to_vec());
    match key {
        Key::P256(_) if signature.len() == 64 => {
            let negative = -p256::Scalar::from_repr(s.iter().copied().collect()).unwrap();
            set("-s", negative.to_repr().to_vec());
            set("n", unhex(P256_ORDER));
        }
        Key::P384(_) if signature.len() == 96 => {
            let negative = -p384::Scalar::from_repr(s.iter().copied().collect()).unwrap();
            set("-s", negative.to_repr().to_vec());
            set("n", unhex(P384_ORDER));
        }
        Key::Ed25519(_) if signature.len() == 64 => {
            let order = unhex(ED25519_ORDER);
            let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
            set("s+l", reversed(&sum(&reversed(s), &reversed(&order))));
            set("l", order);
        }
        Key::Rsa(key) => {
            let n = key.n().to_bytes_be();
            set("sig+n", sum(signature, &n));
            set("n", n);
        }
        _ => {}
    }
}

/// The sum of two big-endian numbers of the same length, one byte longer if need be.
fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let total = rsa::BigUint::from_bytes_be(a) + rsa::BigUint::from_bytes_be(b);
    let total = total.to_bytes_be();
    [vec![0; a.len().saturating_sub(total.len())], total].concat()
}
