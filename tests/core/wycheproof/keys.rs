//! Public keys on the curves.

use tls_session_binding::public_key::PublicKey;

use super::Runner;
use crate::common::foreign;

#[test]
fn ec_public_keys() {
    let runner = Runner::new(foreign::KEYS);
    for (name, algorithms) in foreign::KEYS {
        runner.run(name, foreign::text(name), |group, test| {
            PublicKey::from_spki_der(&foreign::key(group, test))
                .is_ok_and(|key| key.kind() == algorithms[0].key_kind())
        });
    }
    runner.finish();
}
