//! A SPIFFE ID counts under the authorities of its own trust domain alone.

use std::fs;

use rcgen::KeyUsagePurpose;

use super::*;
use crate::endpoint::Change;

/// Two trust domains, each with its authority, and an end of either direction that knows both.
struct Domains {
    a: Authority,
    b: Authority,
    files: Files,
    ends: [Arc<Endpoint>; 2],
}

const ALLOW: &str = r#", "allow": {"spiffe_ids": ["spiffe://a.demo/x", "spiffe://b.demo/x"]}"#;

impl Domains {
    /// With these authorities, and more members of `peer`.
    fn of(a: Authority, b: Authority, peer: &str) -> Self {
        let files = Files::new(&a.issue(&says("spiffe://a.demo/self")), "");
        files.write("a.pem", a.pem());
        files.write("b.pem", b.pem());
        let ends = [Direction::Downstream, Direction::Upstream].map(|direction| {
            let alpn = r#", "alpn": ["h2"]"#;
            endpoint(
                &files.config_of(&format!("{}{peer}", bundles(&files)), alpn),
                direction,
            )
        });
        Self { a, b, files, ends }
    }

    fn new() -> Self {
        Self::of(Authority::new("a"), Authority::new("b"), ALLOW)
    }

    /// What both ends say; they agree.
    fn say(&self, issuer: &Authority, says: &Says) -> Result<(), Failure> {
        self.say_of(&[&issuer.issue(says).der])
    }

    fn say_of(&self, chain: &[&[u8]]) -> Result<(), Failure> {
        let [server, client] = self.ends.each_ref().map(|end| verdict(end, chain));
        assert_eq!(server, client);
        server
    }

    fn refresh(&self) -> [Change; 2] {
        self.ends.each_ref().map(|end| end.refresh())
    }
}

fn bundles(files: &Files) -> String {
    let path = |name| files.path(name).display().to_string();
    format!(
        r#""trust_domains": {{"a.demo": "{}", "b.demo": "{}"}}"#,
        path("a.pem"),
        path("b.pem")
    )
}

fn says(uri: &'static str) -> Says {
    Says {
        names: vec![uri],
        ..Says::default()
    }
}

#[test]
fn an_id_counts_under_its_own_domain_and_is_a_forgery_under_another() {
    let domains = Domains::new();
    let (a, b) = (&domains.a, &domains.b);
    let (of_a, of_b) = (says("spiffe://a.demo/x"), says("spiffe://b.demo/x"));
    assert_eq!(domains.say(a, &of_a), Ok(()));
    assert_eq!(domains.say(b, &of_b), Ok(()));
    assert_eq!(domains.say(b, &of_a), Err(Failure::UnknownIssuer));
    assert_eq!(domains.say(a, &of_b), Err(Failure::UnknownIssuer));
    assert_eq!(
        domains.say(a, &says("spiffe://a.demo/y")),
        Err(Failure::NotAllowed)
    );
}

#[test]
fn what_an_authority_says_of_itself_chooses_nothing() {
    // The thief's authority has the name of the other, and its URI.
    let (a, b) = (
        Authority::of_domain("a", "spiffe://a.demo"),
        Authority::of_domain("a", "spiffe://a.demo"),
    );
    let domains = Domains::of(a, b, ALLOW);
    let forged = says("spiffe://a.demo/x");
    assert!(domains.say(&domains.b, &forged).is_err());
    assert_eq!(domains.say(&domains.a, &forged), Ok(()));
    assert_eq!(domains.say(&domains.b, &says("spiffe://b.demo/x")), Ok(()));
}

#[test]
fn intermediates_of_another_domain_are_as_good_as_none() {
    let domains = Domains::new();
    let between = domains.b.vouch_for("between");
    let chain = |uri| between.issue(&says(uri)).der;
    let pem = CertificateDer::pem_slice_iter(between.pem().as_bytes()).next();
    let shown = pem.unwrap().unwrap();
    assert_eq!(
        domains.say_of(&[&chain("spiffe://b.demo/x"), &shown]),
        Ok(())
    );
    assert_eq!(
        domains.say_of(&[&chain("spiffe://a.demo/x"), &shown]),
        Err(Failure::UnknownIssuer)
    );
}

#[test]
fn only_a_leaf_with_one_uri_that_is_an_id_of_a_listed_domain_is_accepted() {
    let domains = Domains::of(
        Authority::new("a"),
        Authority::new("b"),
        r#", "allow": {"dns_names": ["a.demo"]}"#,
    );
    let with = |uris: &[&'static str]| Says {
        names: [&["a.demo"], uris].concat(),
        ..Says::default()
    };
    assert_eq!(
        domains.say(&domains.a, &with(&["spiffe://a.demo/x"])),
        Ok(())
    );
    for uris in [
        &[][..],
        &["spiffe://a.demo/x", "spiffe://a.demo/y"],
        &["spiffe://a.demo/x", "https://a.demo/y"],
        &["https://a.demo/x"],
        &["spiffe://a.demo"],
        &["spiffe://a.demo/"],
        &["spiffe://A.demo/x"],
        &["spiffe://c.demo/x"],
        &["spiffe://a.demo.b.demo/x"],
        &["spiffe://a.demo,b.demo/x"],
    ] {
        assert_eq!(
            domains.say(&domains.a, &with(uris)),
            Err(Failure::NotAllowed),
            "{uris:?}"
        );
    }
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        let signs = Says {
            key_usages: vec![KeyUsagePurpose::DigitalSignature, usage],
            ..with(&["spiffe://a.demo/x"])
        };
        assert_eq!(domains.say(&domains.a, &signs), Err(Failure::NotAllowed));
    }
}

#[test]
fn a_name_that_is_asked_for_is_asked_for_as_well() {
    let domains = Domains::new();
    let peer = format!(r#"{}, "server_name": "a.demo""#, bundles(&domains.files));
    let named = domains.files.config_of(&peer, r#", "alpn": ["h2"]"#);
    let client = endpoint(&named, Direction::Upstream);
    let say = |issuer: &Authority, names: &[&'static str]| {
        let says = Says {
            names: names.to_vec(),
            ..Says::default()
        };
        verdict(&client, &[&issuer.issue(&says).der])
    };
    assert_eq!(say(&domains.a, &["a.demo", "spiffe://a.demo/x"]), Ok(()));
    assert_eq!(
        say(&domains.a, &["c.demo", "spiffe://a.demo/x"]),
        Err(Failure::Name)
    );
    assert_eq!(
        say(&domains.b, &["a.demo", "spiffe://a.demo/x"]),
        Err(Failure::UnknownIssuer)
    );
}

#[test]
fn a_missing_bundle_closes_its_own_domain_until_it_is_there() {
    let domains = Domains::new();
    let (of_a, of_b) = (says("spiffe://a.demo/x"), says("spiffe://b.demo/x"));
    fs::remove_file(domains.files.path("b.pem")).unwrap();
    assert_eq!(domains.refresh(), [Change::Taken, Change::Taken]);
    assert_eq!(domains.say(&domains.a, &of_a), Ok(()));
    assert_eq!(domains.say(&domains.b, &of_b), Err(Failure::NotAllowed));
    let [end, _] = domains.ends.each_ref().map(|end| end.current().unwrap());
    let warnings = end.warnings().join("\n");
    assert!(
        warnings.starts_with("peer.trust_domains.b.demo: ") && warnings.contains("nobody"),
        "{warnings}"
    );
    domains.files.write("b.pem", domains.b.pem());
    assert_eq!(domains.refresh(), [Change::Taken, Change::Taken]);
    assert_eq!(domains.say(&domains.b, &of_b), Ok(()));
    // From the start.
    for name in ["a.pem", "b.pem"] {
        fs::remove_file(domains.files.path(name)).unwrap();
    }
    let config = domains.files.config_of(&bundles(&domains.files), "");
    let server = endpoint(&config, Direction::Downstream);
    assert_eq!(
        verdict(&server, &[&domains.a.issue(&of_a).der]),
        Err(Failure::NotAllowed)
    );
}

#[test]
fn a_broken_bundle_leaves_its_own_domain_as_it_was_and_holds_back_no_other() {
    let (of_a, of_b) = (says("spiffe://a.demo/x"), says("spiffe://b.demo/x"));
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let whole = Authority::new("b");
    let cut = whole.pem().split_at(whole.pem().len() / 2).0;
    for broken in ["", "no PEM", nonsense, cut, "-----BEG"] {
        let domains = Domains::new();
        domains.files.write("b.pem", broken);
        for told in domains.refresh() {
            assert!(matches!(told, Change::Refused(_)), "{broken}: {told:?}");
        }
        assert_eq!(domains.refresh(), [Change::None, Change::None], "{broken}");
        let next = Authority::new("a");
        domains.files.write("a.pem", next.pem());
        assert_eq!(domains.refresh(), [Change::Taken, Change::Taken]);
        assert_eq!(domains.refresh(), [Change::None, Change::None], "{broken}");
        assert_eq!(domains.say(&next, &of_a), Ok(()), "{broken}");
        assert!(domains.say(&domains.a, &of_a).is_err(), "{broken}");
        assert_eq!(domains.say(&domains.b, &of_b), Ok(()), "{broken}");
        domains.files.write("b.pem", whole.pem());
        assert_eq!(domains.refresh(), [Change::Taken, Change::Taken]);
        assert_eq!(domains.say(&whole, &of_b), Ok(()), "{broken}");
        assert!(domains.say(&domains.b, &of_b).is_err(), "{broken}");
    }
}

#[test]
fn a_domain_whose_bundle_is_broken_from_the_start_or_after_it_was_withdrawn_is_closed() {
    let (of_a, of_b) = (says("spiffe://a.demo/x"), says("spiffe://b.demo/x"));
    let domains = Domains::new();
    fs::remove_file(domains.files.path("b.pem")).unwrap();
    assert_eq!(domains.refresh(), [Change::Taken, Change::Taken]);
    domains.files.write("b.pem", "");
    assert_eq!(domains.refresh(), [Change::None, Change::None]);
    assert_eq!(domains.say(&domains.b, &of_b), Err(Failure::NotAllowed));
    let config = domains.files.config_of(&bundles(&domains.files), "");
    let server = endpoint(&config, Direction::Downstream);
    assert_eq!(verdict(&server, &[&domains.a.issue(&of_a).der]), Ok(()));
    let of_closed = verdict(&server, &[&domains.b.issue(&of_b).der]);
    assert_eq!(of_closed, Err(Failure::NotAllowed));
    let warnings = server.current().unwrap().warnings().join("\n");
    assert!(
        warnings.starts_with("peer.trust_domains.b.demo: ") && warnings.contains("nobody"),
        "{warnings}"
    );
}

#[test]
fn a_bundle_of_several_domains_behind_a_list_of_ids_is_told_and_others_are_not() {
    let of = |name, uri| Authority::of_domain(name, uri);
    let (a, b) = (of("a", "spiffe://a.demo"), of("b", "spiffe://b.demo"));
    let next = of("c", "spiffe://a.demo");
    let files = Files::new(&a.issue(&Says::default()), "");
    let listed = r#", "allow": {"spiffe_ids": ["spiffe://a.demo/x"]}"#;
    for (bundle, peer, told) in [
        ([&a, &b], listed, true),
        ([&a, &b], "", false),
        ([&a, &next], listed, false),
        ([&a, &Authority::new("d")], listed, false),
    ] {
        files.write("ca.pem", &bundle.map(Authority::pem).concat());
        let end = endpoint(&files.config(peer, ""), Direction::Downstream);
        assert_eq!(!end.current().unwrap().warnings().is_empty(), told);
    }
}
