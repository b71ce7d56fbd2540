//! Certificates of a hostile client: too many, too large, too strong.

use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm as CertificateAlgorithm};
use rustls::crypto::aws_lc_rs;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::*;
use crate::endpoint::Change;

/// Why a client with these files is refused.
fn refused_with(ends: &Ends, chain: &str, key: &str) -> String {
    ends.client_files.write("chain.pem", chain);
    ends.client_files.write("key.pem", key);
    assert_eq!(ends.client.refresh(), Change::Taken);
    Pair::refused(ends)
}

/// Why a client with this certificate is refused, whatever it says of its key.
fn refused_as(ends: &Ends, leaf: &CertificateDer<'_>, key: Arc<dyn SigningKey>) -> String {
    let mut pair = Pair::new(ends);
    let shown = CertifiedKey::new(vec![leaf.clone().into_owned()], key);
    pair.client = client_showing(ends, Arc::new(SingleCertAndKey::from(shown)));
    pair.talk();
    assert!(pair.last.close && !pair.socket.is_established());
    pair.socket.failure().to_owned()
}

#[test]
fn a_chain_of_fifty_certificates_is_refused() {
    let ends = Ends::new();
    let mut chain = vec![ends.authority.vouch_for("1")];
    for number in 2..50 {
        let next = chain.last().unwrap().vouch_for(&number.to_string());
        chain.push(next);
    }
    let leaf = chain.last().unwrap().issue(&Says::default());
    let mut pem = leaf.certificate;
    pem.extend(chain.iter().rev().map(Authority::pem));
    let failure = refused_with(&ends, &pem, &leaf.key);
    assert!(failure.contains("invalid peer certificate"), "{failure}");
}

#[test]
fn fifty_authorities_of_one_name_buy_no_endless_search() {
    let ends = Ends::new();
    let stranger = Authority::new("stranger");
    let named: Vec<_> = (0..50).map(|_| stranger.vouch_for("same")).collect();
    let leaf = Authority::new("same").issue(&Says::default());
    let mut pem = leaf.certificate;
    pem.extend(named.iter().map(Authority::pem));
    let failure = refused_with(&ends, &pem, &leaf.key);
    assert!(failure.contains("invalid peer certificate"), "{failure}");
}

#[test]
fn a_certificate_of_100_kb_is_refused() {
    let ends = Ends::new();
    let key = KeyPair::generate().unwrap();
    let says = Says {
        names: vec!["x".repeat(100_000).leak()],
        ..Says::default()
    };
    let certificate = ends.authority.certify(&says, &key);
    let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = aws_lc_rs::sign::any_ecdsa_type(&der).unwrap();
    let failure = refused_as(&ends, certificate.der(), key);
    assert!(failure.contains("HandshakePayloadTooLarge"), "{failure}");
}

#[test]
fn a_key_of_rsa_16384_is_refused() {
    let ends = Ends::new();
    let certificate = ends.authority.certify(&Says::default(), &Rsa16384);
    let failure = refused_as(&ends, certificate.der(), Arc::new(Rsa16384));
    assert!(failure.contains("BadSignature"), "{failure}");
}

/// A public key of RSA with a modulus of 16,384 bits, and signatures of that length that are none.
#[derive(Debug)]
struct Rsa16384;

impl PublicKeyData for Rsa16384 {
    fn der_bytes(&self) -> &[u8] {
        // SEQUENCE { INTEGER modulus, INTEGER 65537 }
        const PREFIX: [u8; 9] = [0x30, 0x82, 0x08, 0x0a, 0x02, 0x82, 0x08, 0x01, 0x00];
        let modulus = [0xd5; 2048];
        [&PREFIX[..], &modulus, &[2, 3, 1, 0, 1]].concat().leak()
    }

    fn algorithm(&self) -> &'static CertificateAlgorithm {
        &PKCS_RSA_SHA256
    }
}

impl SigningKey for Rsa16384 {
    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(Self))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

impl Signer for Rsa16384 {
    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(vec![0x11; 2048])
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::RSA_PSS_SHA256
    }
}

#[test]
fn an_open_connection_is_judged_again_when_trust_changes_and_nothing_passes_any_more() {
    let ends = Ends::new();
    let trust_of = |authority: &Authority| {
        ends.server_files.write("ca.pem", authority.pem());
        assert_eq!(ends.server.refresh(), Change::Taken);
    };
    let mut pair = Pair::established(&ends);
    let woken = || pair.wire.woken.load(Ordering::Relaxed);
    ends.server_files.write(
        "ca.pem",
        &format!(
            "{}{}",
            ends.authority.pem(),
            Authority::new("another").pem()
        ),
    );
    assert_eq!(ends.server.refresh(), Change::Taken);
    assert!(!woken(), "it is accepted still");
    trust_of(&Authority::new("another"));
    assert!(woken());
    pair.client.writer().write_all(b"too late").unwrap();
    pair.speak();
    assert!(pair.last.close && pair.wire.received.borrow().is_empty());
    pair.wire.to_send.borrow_mut().extend(b"secret");
    let outcome = pair.socket.write(&pair.wire, false);
    assert!(outcome.close && outcome.bytes == 0);
    assert_eq!(
        pair.socket.failure(),
        "certificate is not accepted any more"
    );
}

#[test]
fn a_handshake_that_began_before_trust_changed_is_judged_by_what_is_trusted_at_its_end() {
    let ends = Ends::new();
    let mut pair = Pair::new(&ends);
    pair.speak();
    let stranger = Authority::new("another");
    ends.server_files.write("ca.pem", stranger.pem());
    assert_eq!(ends.server.refresh(), Change::Taken);
    pair.listen();
    pair.talk();
    assert!(!pair.socket.is_established() && pair.last.close);
    assert!(pair.socket.failure().contains("UnknownIssuer"));
}

#[test]
fn a_connection_that_has_closed_is_not_woken() {
    let ends = Ends::new();
    let pair = Pair::established(&ends);
    pair.socket.close(&pair.wire, Close::Orderly);
    ends.server_files
        .write("ca.pem", Authority::new("another").pem());
    assert_eq!(ends.server.refresh(), Change::Taken);
    assert!(!pair.wire.woken.load(Ordering::Relaxed));
}
