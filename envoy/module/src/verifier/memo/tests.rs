use std::cell::Cell;
use std::slice::from_ref;
use std::time::Duration;

use rustls::CertificateError;

use super::*;
use crate::testing::{Authority, Says};

const DAY: u64 = 86_400;

/// A certificate that is valid until so many days from now.
fn certificate(authority: &Authority, days: i64, serial: u64) -> CertificateDer<'static> {
    let says = Says {
        valid: (-1, days),
        serial,
        ..Says::default()
    };
    authority.issue(&says).der.into()
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// How often a memo asked for a verdict.
#[derive(Default)]
struct Asked(Cell<usize>);

impl Asked {
    fn accept(&self, memo: &Memo, chain: &[CertificateDer<'_>], now: u64) -> usize {
        let (leaf, intermediates) = chain.split_first().unwrap();
        let verify = || {
            self.0.set(self.0.get() + 1);
            Ok(Certificate::of_der(leaf).unwrap())
        };
        memo.verify(leaf, intermediates, at(now), verify).unwrap();
        self.0.get()
    }
}

#[test]
fn a_chain_is_verified_once_and_anew_after_a_while_and_when_the_clock_goes_back() {
    let authority = Authority::new("a");
    let chain = [certificate(&authority, 1, 1)];
    let (memo, asked, now) = (Memo::new(&[]), Asked::default(), UnixTime::now().as_secs());
    for (later, verdicts) in [(0, 1), (1, 1), (MAX_AGE - 1, 1), (MAX_AGE, 2)] {
        assert_eq!(
            asked.accept(&memo, &chain, now + later),
            verdicts,
            "{later}"
        );
    }
    assert_eq!(asked.accept(&memo, &chain, now - 1), 3);
}

#[test]
fn an_acceptance_ends_with_the_first_certificate_of_its_chain() {
    let authority = Authority::new("a");
    let (long, short) = (certificate(&authority, 2, 1), certificate(&authority, 1, 2));
    let end = not_after(&short).unwrap();
    for chain in [[long.clone(), short.clone()], [short, long]] {
        let (memo, asked) = (Memo::new(&[]), Asked::default());
        for (now, verdicts) in [(end - 2, 1), (end - 1, 1), (end, 2), (end + 1, 3)] {
            assert_eq!(asked.accept(&memo, &chain, now), verdicts);
        }
    }
}

#[test]
fn an_acceptance_ends_with_the_first_revocation_list() {
    let authority = Authority::new("a");
    let pem = authority.revoke(&[9]);
    let list: CertificateRevocationListDer<'_> =
        rustls_pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap();
    let end = next_update(&list).unwrap();
    let chain = [certificate(&authority, 3, 1)];
    let (memo, asked) = (Memo::new(&[list]), Asked::default());
    for (now, verdicts) in [(end - 2, 1), (end - 1, 1), (end, 2), (end + 1, 3)] {
        assert_eq!(asked.accept(&memo, &chain, now), verdicts);
    }
}

#[test]
fn what_cannot_be_read_leaves_nothing_to_remember() {
    let authority = Authority::new("a");
    let now = UnixTime::now().as_secs();
    let readable = [certificate(&authority, 1, 1)];
    let with_junk = [readable[0].clone(), b"no certificate".to_vec().into()];
    let no_list = CertificateRevocationListDer::from(b"no list".to_vec());
    for (memo, chain) in [
        (Memo::new(&[]), with_junk.as_slice()),
        (Memo::new(&[no_list]), &readable),
    ] {
        let asked = Asked::default();
        assert_eq!(asked.accept(&memo, chain, now), 1);
        assert_eq!(asked.accept(&memo, chain, now), 2);
    }
}

#[test]
fn a_refusal_is_never_remembered_nor_stands_an_acceptance_for_another_chain() {
    let authority = Authority::new("a");
    let (one, other) = (certificate(&authority, 1, 1), certificate(&authority, 1, 2));
    let (memo, now) = (Memo::new(&[]), UnixTime::now());
    let error = Error::InvalidCertificate(CertificateError::Revoked);
    let refuse = |leaf: &_, intermediates: &[_]| {
        memo.verify(leaf, intermediates, now, || Err(error.clone()))
    };
    assert_eq!(refuse(&one, &[]), Err(error.clone()));
    let accept = || Ok(Certificate::of_der(&one).unwrap());
    assert_eq!(memo.verify(&one, &[], now, accept), Ok(()));
    assert_eq!(refuse(&one, &[]), Ok(()));
    assert_eq!(refuse(&other, &[]), Err(error.clone()));
    assert_eq!(refuse(&one, from_ref(&other)), Err(error.clone()));
    // The same bytes, cut elsewhere.
    let joined = [one.as_ref(), other.as_ref()].concat().into();
    assert_eq!(memo.verify(&one, &[other], now, accept), Ok(()));
    assert_eq!(refuse(&joined, &[]), Err(error));
}

#[test]
fn however_many_chains_there_are_a_bounded_number_is_remembered() {
    let memo = Memo::new(&[]);
    for number in 0..3 * MAX_CHAINS {
        let mut chain = [0; 32];
        chain[..8].copy_from_slice(&number.to_le_bytes());
        let span = Span {
            from: 0,
            until: DAY,
        };
        memo.keep(chain, span);
        assert!(memo.accepted().len() <= MAX_CHAINS && memo.holds(&chain, 1));
    }
}
