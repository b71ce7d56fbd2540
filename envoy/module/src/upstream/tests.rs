use rcgen::{KeyPair, PKCS_ECDSA_P521_SHA512};
use tls_session_binding_client::AccessToken;

use super::*;
use crate::testing::{Ends, Says, handshake};

fn connect(ends: &Ends, id: u64) -> Rc<Upstream> {
    let (client, _) = handshake(&ends.client, &ends.server);
    let generation = ends.client.current().unwrap();
    let connection = Upstream::of(&client, generation.signer(), Tenure::new(0, u64::MAX)).unwrap();
    CONNECTIONS.remember(id, connection);
    CONNECTIONS.recall(id).unwrap()
}

fn token(number: usize) -> AccessTokenHash {
    AccessToken::parse(&format!("token{number}"))
        .unwrap()
        .hash()
}

#[test]
fn the_proofs_of_all_connections_together_are_bounded_and_those_of_the_fullest_go_first() {
    let ends = Ends::new();
    let (full, other) = (connect(&ends, 1), connect(&ends, 2));
    for number in 0..10 {
        full.proof(&token(number), 1, 0).unwrap();
    }
    let (_, origin) = other.proof(&token(0), 1, 0).unwrap();
    assert_eq!((origin, full.held(), other.held()), (Origin::Made, 10, 1));
    // As if other workers held the rest.
    let rest = MAX_PROOFS_IN_ALL;
    PROOFS.fetch_add(rest, Relaxed);
    other.proof(&token(1), 1, 0).unwrap();
    assert_eq!((full.held(), other.held()), (0, 2));
    other.proof(&token(2), 1, 0).unwrap();
    assert_eq!(other.held(), 0, "nothing else can go");
    PROOFS.fetch_sub(rest, Relaxed);
    let (_, origin) = full.proof(&token(0), 1, 0).unwrap();
    assert_eq!(origin, Origin::Made);
}

#[test]
fn proofs_are_not_counted_any_more_once_their_connection_has_ended() {
    let ends = Ends::new();
    let connection = connect(&ends, 1);
    connection.proof(&token(0), 1, 0).unwrap();
    assert_eq!(connection.counted.get(), 1);
    assert!(proofs_held() >= 1);
    let (proof, _) = connection.proof(&token(0), 1, 0).unwrap();
    connection.refused(&token(0), &proof, 1);
    assert_eq!(connection.counted.get(), 0);
}

#[test]
fn a_key_that_signs_no_proofs_is_good_for_connections_without_them() {
    let ends = Ends::new();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    let certificate = ends.authority.certify(&Says::default(), &key);
    ends.client_files.write("chain.pem", &certificate.pem());
    ends.client_files.write("key.pem", &key.serialize_pem());
    ends.client.refresh();
    let generation = ends.client.current().unwrap();
    assert!(generation.signer().is_none());
    let (client, _) = handshake(&ends.client, &ends.server);
    let connection = Upstream::of(&client, generation.signer(), Tenure::new(0, u64::MAX)).unwrap();
    assert_eq!(
        connection.proof(&token(0), 1, 0).unwrap_err(),
        Unprovable::Key
    );
    let limited = connection.proof_of_request(&token(0), 1, |proof| proof);
    assert_eq!(limited.unwrap_err(), Unprovable::Key);
}
