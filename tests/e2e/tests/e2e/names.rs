//! Certificates that are rare and within their rights, and forged ones that look like them.

use std::fs;
use std::path::Path;

use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType, SerialNumber};
use serde_json::Value;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, Present as _, get};
use tls_session_binding_e2e::raw::RawConnection;
use tls_session_binding_e2e::stack::{Bootstrap, Files, Stack};

use crate::chain::{Chain, egress};
use crate::counts::settled;
use crate::domains::{beside_stock, is_served, with_headers, without_tokens};
use crate::issuers::{authority_of, issue, names, new_authority, revocation_list};
use crate::vocabulary::{HTTP1, Passed};

const CA: &str = r#""ca": "target/demo/pki/ca.pem""#;
const AGENT: &str = "spiffe://demo/agent";

/// Tags of alternative names (RFC 5280 section 4.2.1.6).
const OTHER_NAME: u8 = 0xa0;
const MAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const DIRECTORY: u8 = 0xa4;
const URI: u8 = 0x86;
const REGISTERED: u8 = 0x88;

/// C1
#[tokio::test(flavor = "multi_thread")]
async fn of_two_authorities_of_one_name_each_revokes_its_own_and_only_those() -> Result<()> {
    for crls in [
        r#"["target/demo/pki/old.crl", "target/demo/pki/new.crl"]"#,
        r#"["target/demo/pki/new.crl", "target/demo/pki/old.crl"]"#,
        r#"["target/demo/pki/both.crl"]"#,
    ] {
        let files = Files::make()?;
        let pki = files.pki();
        // Each revokes the number that the other has in use.
        let mut both = [String::new(), String::new()];
        for (name, good, revoked) in [("old", 1, 2), ("new", 2, 1)] {
            let authority = new_authority(&pki, name, "Rollover CA")?;
            for (state, serial) in [("good", good), ("revoked", revoked)] {
                issue(&pki, &authority, &format!("{name}-{state}"), |client| {
                    client.serial_number = Some(SerialNumber::from(serial));
                })?;
            }
            let list = revocation_list(&authority, revoked)?;
            fs::write(pki.join(format!("{name}.crl")), &list)?;
            let [authorities, lists] = &mut both;
            authorities.push_str(&fs::read_to_string(pki.join(format!("{name}.pem")))?);
            lists.push_str(&list);
        }
        fs::write(pki.join("both.pem"), &both[0])?;
        fs::write(pki.join("both.crl"), &both[1])?;
        let peer = format!(r#""ca": "target/demo/pki/both.pem", "crls": {crls}"#);
        let stack = Stack::start_on(files, &without_tokens()?.with(CA, &peer)).await?;
        for name in ["old", "new"] {
            for (state, served) in [("good", true), ("revoked", false)] {
                let client = format!("{name}-{state}");
                let is_served = is_served(&pki, &client, stack.address).await?;
                assert_eq!(is_served, served, "{client}: {crls}");
            }
        }
        assert_eq!(failures(&stack, "certificate_revoked").await?, 2, "{crls}");
        assert_eq!(failures(&stack, "").await?, 2, "{crls}");
    }
    Ok(())
}

/// What a certificate says; what is published of it as SPIFFE ID and as DNS names.
type Case = (&'static [(u8, &'static [u8])], &'static str, &'static str);

const ID: (u8, &[u8]) = (URI, AGENT.as_bytes());

/// C2, C4
const NAMES: &[Case] = &[
    (&[(MAIL, "jürgen@demo".as_bytes()), ID], AGENT, ""),
    (
        &[(MAIL, b"\xff\xfe"), ID, (DNS, b"c.demo")],
        AGENT,
        "c.demo",
    ),
    // A user principal name, as Active Directory writes it.
    (
        &[
            (
                OTHER_NAME,
                b"\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0\x06\x0c\x04user",
            ),
            ID,
        ],
        AGENT,
        "",
    ),
    (&[(DIRECTORY, b"\x30\x00"), ID], AGENT, ""),
    (&[(REGISTERED, b"\x2a\x03\x04"), ID], AGENT, ""),
    (&[(DNS, b"a.demo,b.demo"), (DNS, b"c.demo")], "", "c.demo"),
    (&[(DNS, b"a.demo,b.demo"), ID], AGENT, ""),
    (&[(DNS, b"a.demo b.demo"), ID], AGENT, ""),
    (&[(DNS, b"b.demo\0.a.demo"), ID], AGENT, ""),
    (&[(DNS, b"b.demo\n"), ID], AGENT, ""),
    (&[(DNS, b"b\xff.demo"), (DNS, b"c.demo")], "", "c.demo"),
    (&[(URI, b"spiffe://demo/agent,spiffe://b.demo/x")], "", ""),
    (&[(URI, b"spiffe://demo/agent,")], "", ""),
    (&[(URI, b"spiffe://demo/agent\xff")], "", ""),
    (&[(URI, b"https://x.demo/\xff"), ID], "", ""),
    (&[(URI, b"https://x.demo/"), ID], "", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_cannot_be_read_or_reads_as_two_is_published_as_nothing() -> Result<()> {
    let files = Files::make()?;
    let pki = files.pki();
    let ca = authority_of(&pki)?;
    let validation = "{ trusted_ca: { filename: target/demo/pki/ca.pem } }";
    let stack = Stack::start_on(files, &beside_stock(with_headers()?, validation)).await?;
    let envoys = stack.envoy.listener("stock").await?;
    for (list, id, dns) in NAMES {
        let extension = names(list)?;
        issue(&pki, &ca, "odd", |client| {
            client.custom_extensions = vec![extension];
        })?;
        assert!(is_served(&pki, "odd", envoys).await?, "stock: {list:?}");
        let seen = published(&stack, "odd").await?;
        let fact = |name: &str| {
            let fact = seen.get(format!("x-fact-{name}"));
            let fact = fact.and_then(Value::as_str).unwrap_or_default();
            if fact == "-" { "" } else { fact }.to_owned()
        };
        assert_eq!(fact("spiffe-id"), *id, "{list:?}");
        assert_eq!(fact("dns-names"), *dns, "{list:?}");
        assert!(!fact("forwarded-client-cert").contains("b.demo"), "{seen}");
    }
    Ok(())
}

/// The headers that the service sees of the holder of certificate `name`.
async fn published(stack: &Stack, name: &str) -> Result<Value> {
    let signer = stack.party(name, HTTP1)?.signer;
    let mut connection = RawConnection::open(stack.address, &stack.pki(), Some(&signer)).await?;
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = connection.exchange(request, 1).await?;
    let body = answer.split("\r\n\r\n").nth(1).ok_or("no body")?;
    let seen: Value = serde_json::from_str(body)?;
    Ok(seen.get("headers").ok_or("no headers")?.clone())
}

/// C2, C4
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_cannot_be_read_or_reads_as_two_counts_for_no_list() -> Result<()> {
    let files = Files::make()?;
    let pki = files.pki();
    let ca = authority_of(&pki)?;
    let allow = format!(
        r#"{CA}, "allow": {{"spiffe_ids": ["{AGENT}"], "dns_names": ["c.demo", "b.demo"]}}"#
    );
    let stack = Stack::start_on(files, &without_tokens()?.with(CA, &allow)).await?;
    let mut refused = 0;
    for (list, id, dns) in NAMES {
        let extension = names(list)?;
        issue(&pki, &ca, "odd", |client| {
            client.custom_extensions = vec![extension];
        })?;
        let allowed = *id == AGENT || *dns == "c.demo";
        let is_served = is_served(&pki, "odd", stack.address).await?;
        assert_eq!(is_served, allowed, "{list:?}");
        refused += u64::from(!allowed);
    }
    assert_eq!(failures(&stack, "not_allowed").await?, refused);
    assert_eq!(failures(&stack, "").await?, refused);
    Ok(())
}

/// C8: where domains are told apart, it is in `domains.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_sign_certificates_or_lists_has_no_spiffe_id() -> Result<()> {
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign, KeyEncipherment};
    let files = Files::make()?;
    let pki = files.pki();
    let ca = authority_of(&pki)?;
    let allow = format!(r#"{CA}, "allow": {{"spiffe_ids": ["{AGENT}"]}}"#);
    let stack = Stack::start_on(files, &without_tokens()?.with(CA, &allow)).await?;
    let told = with_headers()?;
    let told = stack.beside("told", "ingress", &told, stack.upstream.address);
    let told = told.await?;
    let id = SanType::URI(AGENT.try_into()?);
    for (usages, has_id) in [
        (&[DigitalSignature][..], true),
        (&[DigitalSignature, KeyEncipherment], true),
        (&[], true),
        (&[DigitalSignature, KeyCertSign], false),
        (&[DigitalSignature, CrlSign], false),
        (&[DigitalSignature, KeyCertSign, CrlSign], false),
    ] {
        issue(&pki, &ca, "odd", |client| {
            client.subject_alt_names = vec![id.clone()];
            client.key_usages = usages.to_vec();
        })?;
        let is_allowed = is_served(&pki, "odd", stack.address).await?;
        assert_eq!(is_allowed, has_id, "{usages:?}");
        // Where nobody asks for an ID, it is a certificate like another, and published without one.
        assert!(is_served(&pki, "odd", told.address).await?, "{usages:?}");
    }
    assert_eq!(failures(&stack, "not_allowed").await?, 3);
    Ok(())
}

/// A service whose certificate names an ID of the first domain, by either domain's authority.
async fn service_of(issuer: &str, peer: &str) -> Result<Chain> {
    let files = Files::make()?;
    let pki = files.pki();
    for domain in ["a", "b"] {
        let authority = new_authority(&pki, domain, domain)?;
        if domain == issuer {
            issue_service(&pki, &authority)?;
        }
    }
    let domains = r#""trust_domains": { "a.demo": "target/demo/pki/a.pem", "b.demo": "target/demo/pki/b.pem" }, "#;
    let all = r#""peer": { "ca": "target/demo/pki/ca.pem", "server_name": "service.demo" }"#;
    let peer = format!(r#""peer": {{ {domains}{peer} }}"#);
    let stack = Stack::start_on(files, &Bootstrap::shipped("ingress.yaml")?).await?;
    let egress = stack.egress(egress()?.with(all, &peer)).await?;
    Ok(Chain { stack, egress })
}

fn issue_service(pki: &Path, authority: &crate::issuers::Authority) -> Result<()> {
    let names = vec![
        SanType::URI("spiffe://a.demo/service".try_into()?),
        SanType::DnsName("service.demo".try_into()?),
    ];
    issue(pki, authority, "server", |server| {
        server.subject_alt_names = names;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    })
}

/// C3
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_another_domains_authority_vouches_for_gets_no_request_and_no_proof()
-> Result<()> {
    for peer in [
        r#""sni": "service.demo", "allow": {"spiffe_ids": ["spiffe://a.demo/service"]}"#,
        r#""server_name": "service.demo""#,
    ] {
        let honest = service_of("a", peer).await?;
        let request = get("/orders").token(&honest.token("alice")?);
        assert_eq!(honest.outcome(request).await?, Passed, "{peer}");
        let forged = service_of("b", peer).await?;
        let request = get("/orders").token(&forged.token("alice")?);
        assert_eq!(
            forged.outcome(request).await?,
            Outcome::Status(503),
            "{peer}"
        );
        let envoy = &forged.egress.envoy;
        let failed = "upstream.handshakes_failed.unknown_issuer";
        assert!(settled(envoy, failed).await? > 0, "{peer}");
        assert_eq!(envoy.stat("proofs.made").await?, 0);
        assert_eq!(forged.stack.upstream.requests(), 0);
    }
    Ok(())
}

async fn failures(stack: &Stack, reason: &str) -> Result<u64> {
    let name = format!("downstream.handshakes_failed.{reason}");
    settled(&stack.envoy, &name).await
}
