use tls_session_binding::algorithm::{Algorithm, AlgorithmSet};

#[test]
fn a_name_is_exactly_one_of_the_registered_ones() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        let json = format!("\"{}\"", algorithm.name());
        assert_eq!(
            serde_json::from_str::<Algorithm>(&json).ok(),
            Some(algorithm)
        );
    }
    for name in [
        "", "none", "None", "HS256", "es256", "ES256 ", "ES256K", "ES512", "Ed448", "ed25519",
    ] {
        assert_eq!(Algorithm::from_name(name), None, "{name}");
    }
}

#[test]
fn ed25519_is_known_by_both_of_its_names() {
    assert_eq!(Algorithm::from_name("Ed25519"), Some(Algorithm::EdDsa));
    let configured = serde_json::from_str::<Algorithm>("\"Ed25519\"").ok();
    assert_eq!(configured, Some(Algorithm::EdDsa));
}

#[test]
fn a_set_contains_what_was_put_in_and_nothing_else() {
    let set = AlgorithmSet::of(&[Algorithm::Es256, Algorithm::Ps512]);
    for algorithm in Algorithm::ALL {
        let expected = matches!(algorithm, Algorithm::Es256 | Algorithm::Ps512);
        assert_eq!(set.contains(algorithm), expected, "{algorithm:?}");
        assert!(AlgorithmSet::all().contains(algorithm));
    }
}
