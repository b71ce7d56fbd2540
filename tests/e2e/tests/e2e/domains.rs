//! SPIFFE IDs by trust domain, beside stock Envoy's own validator of them; and published facts as headers.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rcgen::{KeyUsagePurpose, SanType};
use serde_json::Value;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Present as _, get};
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::raw::RawConnection;
use tls_session_binding_e2e::stack::{Bootstrap, Files, Stack};

use crate::issuers::{self, Authority, authority_of, new_authority};
use crate::vocabulary::HTTP1;

const DOMAINS: [&str; 2] = ["a", "b"];

/// Stock Envoy's own validator of SPIFFE IDs, for the same two domains.
const VALIDATOR: &str = r#"
                  custom_validator_config:
                    name: envoy.tls.cert_validator.spiffe
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig
                      trust_domains:
                        - { name: a.demo, trust_bundle: { filename: target/demo/pki/a.pem } }
                        - { name: b.demo, trust_bundle: { filename: target/demo/pki/b.pem } }"#;

/// A listener with Envoy's own TLS.
const STOCK: &str = r#"    - name: stock
      address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
      filter_chains:
        - transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              require_client_certificate: true
              common_tls_context:
                tls_certificates:
                  - certificate_chain: { filename: target/demo/pki/server.pem }
                    private_key: { filename: target/demo/pki/server.key }
                validation_context: VALIDATION
          filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: stock
                route_config:
                  virtual_hosts:
                    - { name: all, domains: ["*"], routes: [{ match: { prefix: / }, direct_response: { status: 200 } }] }
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router

"#;

/// With a listener beside it whose TLS is Envoy's own.
pub(crate) fn beside_stock(bootstrap: Bootstrap, validation: &str) -> Bootstrap {
    let listener = STOCK.replace("VALIDATION", validation);
    bootstrap.with("  clusters:\n", &format!("{listener}  clusters:\n"))
}

/// The shipped listener without the filters that judge tokens.
pub(crate) fn without_tokens() -> Result<Bootstrap> {
    let shipped = Bootstrap::shipped("ingress.yaml")?;
    let (_, rest) = shipped
        .as_str()
        .split_once("                  # The token itself")
        .ok_or("no token filter")?;
    let (filters, _) = rest
        .split_once("                  - name: envoy.filters.http.router")
        .ok_or("no router")?;
    let filters = format!("                  # The token itself{filters}");
    Ok(shipped.with(&filters, ""))
}

pub(crate) fn both() -> Result<Bootstrap> {
    let domains = r#""trust_domains": { "a.demo": "target/demo/pki/a.pem", "b.demo": "target/demo/pki/b.pem" }"#;
    let bootstrap = without_tokens()?.with(r#""ca": "target/demo/pki/ca.pem""#, domains);
    Ok(beside_stock(bootstrap, VALIDATOR))
}

fn authority(pki: &Path, name: &str) -> Result<Authority> {
    new_authority(pki, name, name)
}

/// A client's certificate and key as `leaf`.
fn issue(pki: &Path, issuer: &Authority, uris: &[&str], usages: &[KeyUsagePurpose]) -> Result<()> {
    let uris = uris.iter().map(|uri| Ok(SanType::URI((*uri).try_into()?)));
    let uris = uris.collect::<Result<_>>()?;
    issuers::issue(pki, issuer, "leaf", |params| {
        params.subject_alt_names = uris;
        params.key_usages = usages.to_vec();
    })
}

/// Authorities of both domains, and a client of the first as `leaf`.
pub(crate) fn issue_one(pki: &Path) -> Result<()> {
    let first = authority(pki, "a")?;
    authority(pki, "b")?;
    issue(
        pki,
        &first,
        &["spiffe://a.demo/x"],
        &[KeyUsagePurpose::DigitalSignature],
    )
}

/// Whether the holder of this certificate is served at `address`.
pub(crate) async fn is_served(pki: &Path, name: &str, address: SocketAddr) -> Result<bool> {
    let Ok(connection) = Party::new(pki, name, address, HTTP1)?.connect().await else {
        return Ok(false);
    };
    let answer = connection.send_as_is(get("/").empty()).await;
    Ok(answer.is_ok_and(|answer| answer.status() == 200))
}

/// Issuer, URIs, key usage, whether Envoy's validator accepts; why this one does not agree.
type Case = (
    usize,
    &'static [&'static str],
    &'static [KeyUsagePurpose],
    bool,
    &'static str,
);

const USUAL: [KeyUsagePurpose; 1] = [KeyUsagePurpose::DigitalSignature];
const CERTIFICATES: [KeyUsagePurpose; 2] = [
    KeyUsagePurpose::DigitalSignature,
    KeyUsagePurpose::KeyCertSign,
];
const LISTS: [KeyUsagePurpose; 2] = [KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign];

#[tokio::test(flavor = "multi_thread")]
async fn trust_domains_are_kept_apart_as_by_envoys_own_validator() -> Result<()> {
    let files = Files::make()?;
    let pki = files.pki();
    let issuers = [authority(&pki, "a")?, authority(&pki, "b")?];
    let stack = Stack::start_on(files, &both()?).await?;
    let envoys = stack.envoy.listener("stock").await?;
    #[rustfmt::skip]
    let cases: &[Case] = &[
        (0, &["spiffe://a.demo/x"], &USUAL, true, ""),
        (1, &["spiffe://b.demo/x"], &USUAL, true, ""),
        (1, &["spiffe://a.demo/x"], &USUAL, false, ""),
        (0, &["spiffe://b.demo/x"], &USUAL, false, ""),
        (0, &["spiffe://c.demo/x"], &USUAL, false, ""),
        (0, &["https://a.demo/x"], &USUAL, false, ""),
        (0, &["spiffe://a.demo"], &USUAL, false, ""),
        (0, &["spiffe://A.demo/x"], &USUAL, false, ""),
        (0, &["https://a.demo/x", "spiffe://a.demo/x"], &USUAL, false, ""),
        (0, &[], &USUAL, false, ""),
        (0, &["spiffe://a.demo/x"], &CERTIFICATES, false, ""),
        (0, &["spiffe://a.demo/x"], &LISTS, false, ""),
        (0, &["spiffe://a.demo/x", "spiffe://b.demo/x"], &USUAL, true, "of two URIs Envoy takes the first: X509-SVID section 5.2 refuses both"),
        (0, &["spiffe://a.demo/"], &USUAL, true, "a workload's ID has a path: X509-SVID section 5.2"),
        (0, &["spiffe://a.demo/x,y"], &USUAL, true, "no spelling of a SPIFFE ID, and two where names are joined with commas"),
        (0, &["spiffe://a.demo/x"], &[], false, "X509-SVID section 5.2 asks that two usages are not there; where none is told, none is"),
    ];
    for (issuer, uris, usages, accepted, reason) in cases {
        let issuer = issuers.get(*issuer).ok_or(DOMAINS.len().to_string())?;
        issue(&pki, issuer, uris, usages)?;
        let case = format!("{uris:?} {usages:?}");
        assert_eq!(
            is_served(&pki, "leaf", envoys).await?,
            *accepted,
            "stock: {case}"
        );
        let agrees = reason.is_empty();
        assert_eq!(
            is_served(&pki, "leaf", stack.address).await?,
            *accepted == agrees,
            "{case}"
        );
    }
    Ok(())
}

/// All that `publish` publishes of a client, secrets excepted.
const FACTS: [&str; 10] = [
    "client_certificate",
    "tls_version",
    "cipher_suite",
    "server_name",
    "resumed",
    "spiffe_id",
    "dns_names",
    "subject",
    "thumbprint",
    "forwarded_client_cert",
];

/// The listener, told by headers of every fact, each as in the module's README.
pub(crate) fn with_headers() -> Result<Bootstrap> {
    let readme =
        fs::read_to_string(tls_session_binding_e2e::root().join("envoy/module/README.md"))?;
    let (_, rest) = readme
        .split_once("  request_headers_to_add:\n")
        .ok_or("the README adds no header")?;
    let (header, _) = rest.split_once("# RBAC").ok_or("no RBAC")?;
    let of = |fact: &str| {
        header
            .replace(
                "x-forwarded-client-cert",
                &format!("x-fact-{}", fact.replace('_', "-")),
            )
            .replace("forwarded_client_cert", fact)
    };
    let headers: String = FACTS
        .iter()
        .flat_map(|fact| {
            of(fact)
                .lines()
                .map(|line| format!("{:16}{line}\n", ""))
                .collect::<Vec<_>>()
        })
        .collect();
    let route = "                route_config:\n";
    Ok(without_tokens()?
        .with(
            route,
            &format!("{route}                  request_headers_to_add:\n{headers}"),
        )
        .with(r#""peer": { "#, r#""peer": { "certificate": "optional", "#))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_of_a_published_fact_is_ever_the_clients_own() -> Result<()> {
    let files = Files::make()?;
    let pki = files.pki();
    let ca = authority_of(&pki)?;
    let stack = Stack::start_on(files, &with_headers()?).await?;
    let header = |fact: &&str| format!("x-fact-{}: forged\r\n", fact.replace('_', "-"));
    let forged = FACTS.iter().map(header).collect::<Vec<_>>().concat();
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{forged}\r\n");
    issue(&pki, &ca, &[], &[KeyUsagePurpose::DigitalSignature])?;
    for name in [Some("client"), Some("leaf"), None] {
        let party = name.map(|name| stack.party(name, HTTP1)).transpose()?;
        let signer = party.as_ref().map(|party| &*party.signer);
        let mut connection = RawConnection::open(stack.address, &pki, signer).await?;
        let answer = connection.exchange(request.as_bytes(), 1).await?;
        let body = answer.split("\r\n\r\n").nth(1).ok_or("no body")?;
        let seen: Value = serde_json::from_str(body)?;
        assert!(!seen.to_string().contains("forged"), "{name:?}: {seen}");
        let id = seen
            .pointer("/headers/x-fact-spiffe-id")
            .and_then(Value::as_str);
        match name {
            Some("client") => assert_eq!(id, Some("spiffe://demo/agent"), "{seen}"),
            _ => assert!(matches!(id, None | Some("" | "-")), "{name:?}: {seen}"),
        }
    }
    Ok(())
}
