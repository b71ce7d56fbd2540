//! The time, and whether a certificate is valid now.

use std::time::{SystemTime, UNIX_EPOCH};

use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::signer::Signer;

/// Whether the signer's certificate is valid now. One whose times cannot be read is for the server to judge.
pub(super) fn is_valid(signer: &Signer) -> bool {
    validity(signer).is_none_or(|(begin, end)| (begin..=end).contains(&unix_time()))
}

fn validity(signer: &Signer) -> Option<(u64, u64)> {
    let leaf = signer.certified_key().end_entity_cert().ok()?;
    let validity = Certificate::from_der(leaf).ok()?.tbs_certificate.validity;
    Some((
        validity.not_before.to_unix_duration().as_secs(),
        validity.not_after.to_unix_duration().as_secs(),
    ))
}

pub(super) fn unix_time() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
