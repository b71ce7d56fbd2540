//! Revocation lists of authorities that have one name.

use super::*;
use crate::endpoint::Change;

/// Two authorities of one name and two keys: a rollover. And an end of either direction.
struct Rollover {
    old: Authority,
    new: Authority,
    files: Files,
}

impl Rollover {
    fn begin() -> Self {
        let (old, new) = (Authority::new("authority"), Authority::new("authority"));
        let files = Files::new(
            &old.issue(&Says::default()),
            &[old.pem(), new.pem()].concat(),
        );
        Self { old, new, files }
    }

    /// What both ends say, with these lists, each a file of its own.
    fn say(&self, lists: &[String], leaf: &Leaf) -> Result<(), Failure> {
        let mut paths = Vec::new();
        for (number, list) in lists.iter().enumerate() {
            let name = format!("{number}.crl");
            self.files.write(&name, list);
            paths.push(self.files.path(&name).display().to_string());
        }
        let peer = format!(r#"{LISTED}, "crls": {paths:?}"#);
        let [server, client] = [Direction::Downstream, Direction::Upstream].map(|direction| {
            let end = endpoint(&self.files.config(&peer, r#", "alpn": ["h2"]"#), direction);
            verdict(&end, &[&leaf.der])
        });
        assert_eq!(server, client);
        server
    }
}

fn leaf(issuer: &Authority, serial: u64) -> Leaf {
    issuer.issue(&Says {
        serial,
        ..Says::default()
    })
}

#[test]
fn each_certificate_is_judged_by_the_list_that_its_own_issuer_signed() {
    let rollover = Rollover::begin();
    let (old, new) = (&rollover.old, &rollover.new);
    let lists = [old.revoke(&[7]), new.revoke(&[8])];
    for lists in [lists.clone(), [lists[1].clone(), lists[0].clone()]] {
        for (issuer, serial, expected) in [
            (old, 7, Err(Failure::Revoked)),
            (old, 8, Ok(())),
            (new, 7, Ok(())),
            (new, 8, Err(Failure::Revoked)),
        ] {
            assert_eq!(
                rollover.say(&lists, &leaf(issuer, serial)),
                expected,
                "{serial}"
            );
        }
    }
}

#[test]
fn whose_list_is_missing_is_refused_though_there_is_one_of_its_name() {
    let rollover = Rollover::begin();
    let leaf = leaf(&rollover.new, 1);
    let old = |serials: &[u64]| rollover.old.revoke(serials);
    assert!(rollover.say(&[old(&[])], &leaf).is_err());
    assert!(rollover.say(&[old(&[]), old(&[2])], &leaf).is_err());
    rollover.files.write("ca.pem", rollover.new.pem());
    assert_eq!(rollover.say(&[old(&[])], &leaf), Err(Failure::Revoked));
}

#[test]
fn of_two_lists_of_one_authority_a_revocation_in_either_counts() {
    let rollover = Rollover::begin();
    let lists = [rollover.old.revoke(&[]), rollover.old.revoke(&[7])];
    for lists in [lists.clone(), [lists[1].clone(), lists[0].clone()]] {
        assert_eq!(
            rollover.say(&lists, &leaf(&rollover.old, 7)),
            Err(Failure::Revoked)
        );
        assert_eq!(rollover.say(&lists, &leaf(&rollover.old, 8)), Ok(()));
    }
}

#[test]
fn choices_among_lists_of_one_name_are_bounded() {
    let authority = Authority::new("a");
    let files = Files::new(&authority.issue(&Says::default()), authority.pem());
    let crls = format!(r#", "crls": ["{}"]"#, files.path("crl.pem").display());
    files.write("crl.pem", &authority.revoke(&[]));
    let end = endpoint(&files.config(&crls, ""), Direction::Downstream);
    files.write("crl.pem", &authority.revoke(&[]).repeat(16));
    assert_eq!(end.refresh(), Change::Taken);
    files.write("crl.pem", &authority.revoke(&[]).repeat(17));
    let Change::Refused(mistakes) = end.refresh() else {
        panic!("taken")
    };
    assert!(
        mistakes.to_string().contains("peer.crls: too many lists"),
        "{mistakes}"
    );
}
