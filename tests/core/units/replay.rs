use tls_session_binding::error::{ClientFault, HostFault};
use tls_session_binding::exporter::ExporterValue;
use tls_session_binding::replay::{MAX_ENTRIES, Slot};

/// The format of a bucket: a version, then entries.
const VERSION: u8 = 1;
const ENTRY_BYTES: usize = 16;

fn slot(jti: &str) -> Slot {
    Slot::new(1, &ExporterValue::from_bytes([1; 32]), jti)
}

#[test]
fn a_jti_is_accepted_once_for_as_long_as_its_proof_could_be() {
    let bucket = slot("a").remember(&[], 100, 50).unwrap();
    for now in [50, 99, 100] {
        assert_eq!(
            slot("a").remember(&bucket, 200, now),
            Err(ClientFault::ProofReplayed.into())
        );
    }
    assert!(slot("a").remember(&bucket, 200, 101).is_ok());
    assert!(slot("b").remember(&bucket, 100, 50).is_ok());
}

#[test]
fn another_connection_has_its_own_memory() {
    let bucket = slot("a").remember(&[], 100, 50).unwrap();
    let other = Slot::new(1, &ExporterValue::from_bytes([2; 32]), "a");
    assert!(other.remember(&bucket, 100, 50).is_ok());
}

#[test]
fn a_full_bucket_refuses_and_forgets_nothing_that_is_live() {
    let mut bucket = Vec::new();
    for number in 0..MAX_ENTRIES {
        bucket = slot(&number.to_string())
            .remember(&bucket, 100, 50)
            .unwrap();
    }
    assert_eq!(
        slot("x").remember(&bucket, 100, 50),
        Err(ClientFault::ReplayMemoryFull.into())
    );
    assert_eq!(
        slot("0").remember(&bucket, 100, 50),
        Err(ClientFault::ProofReplayed.into())
    );
    let next = slot("x").remember(&bucket, 200, 101).unwrap();
    assert_eq!(next.len(), 1 + ENTRY_BYTES);
}

#[test]
fn bytes_that_are_not_a_bucket_are_the_hosts_fault() {
    let oversized = [vec![VERSION], vec![0; (MAX_ENTRIES + 1) * ENTRY_BYTES]].concat();
    for bucket in [
        &[0][..],
        &[2; 17],
        &[VERSION; 16],
        &[VERSION; 18],
        &oversized,
    ] {
        let unusable = Err(HostFault::ReplayMemoryUnusable.into());
        assert_eq!(slot("a").remember(bucket, 100, 50), unusable);
    }
    assert!(slot("a").remember(&[VERSION], 100, 50).is_ok());
}

#[test]
fn buckets_come_from_a_bounded_set() {
    for id in [0, 1, 63, 64, u64::MAX] {
        for jti in 0..100 {
            let exporter = ExporterValue::from_bytes([3; 32]);
            assert!(Slot::new(id, &exporter, &jti.to_string()).bucket() < 4096);
        }
    }
}
