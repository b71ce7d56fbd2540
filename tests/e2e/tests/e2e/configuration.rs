//! Configuration: what is shipped is accepted, what is wrong is refused with every mistake named.

use std::net::SocketAddr;

use tls_session_binding_e2e::envoy::{Envoy, validate};
use tls_session_binding_e2e::stack::{Bootstrap, FILTER, Files, Stack};
use tls_session_binding_e2e::{Result, root};

use crate::vocabulary::{HTTP2, Passed, refused, token, try_proof};

const UPSTREAM: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

#[test]
fn every_shipped_bootstrap_passes_envoys_own_validation() -> Result<()> {
    let files = Files::make()?;
    let mut found = 0;
    for entry in std::fs::read_dir(root().join("envoy"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let placed = files.place(&Bootstrap::shipped(&name)?, UPSTREAM);
            validate(&placed, &files.directory()).map_err(|error| format!("{name}: {error}"))?;
            found += 1;
        }
    }
    assert!(found >= 3, "only {found} bootstrap files");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_filter_configuration_is_refused_with_every_mistake_named() -> Result<()> {
    let cases: [(&str, &[&str]); 6] = [
        ("", &["empty"]),
        ("[]", &["object"]),
        (r#"{"binding":"sometimes"}"#, &["binding"]),
        (
            r#"{"algorithms":["ES256","none"]}"#,
            &["algorithms", "none"],
        ),
        (
            r#"{"max_proof_age":"5 minutes","clock_tolerance":-1,"unknown":1}"#,
            &["max_proof_age", "clock_tolerance", "unknown"],
        ),
        (
            r#"{"exporter":{"encoding":"base32","x":1},"client_certificate":{"property":[]}}"#,
            &[
                "exporter.encoding",
                "exporter.x",
                "client_certificate.property",
            ],
        ),
    ];
    for (config, mistakes) in cases {
        let wrong = format!("value: '{config}'");
        let bootstrap = Bootstrap::shipped("ingress.yaml")?.with(FILTER, &wrong);
        refuses_to_start(&bootstrap, config, mistakes).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_module_configuration_is_refused_with_every_mistake_named() -> Result<()> {
    let shipped = Bootstrap::shipped("ingress.yaml")?;
    let cases: [(&str, &str, &[&str]); 3] = [
        (
            r#""versions": ["1.3"]"#,
            r#""versions": ["1.1"], "x": 1"#,
            &["tls.versions", "tls.x"],
        ),
        ("pki/server.key", "pki/absent.key", &["absent.key"]),
        (
            "pki/server.key",
            "pki/client.key",
            &["identity", "does not belong to"],
        ),
    ];
    for (right, wrong, mistakes) in cases {
        refuses_to_start(&shipped.clone().with(right, wrong), wrong, mistakes).await?;
    }
    Ok(())
}

/// Envoy does not serve with `bootstrap`, and says why.
async fn refuses_to_start(bootstrap: &Bootstrap, case: &str, mistakes: &[&str]) -> Result<()> {
    let files = Files::make()?;
    let placed = files.place(bootstrap, UPSTREAM);
    let Err(error) = Envoy::start(&placed, &files.directory()).await else {
        return Err(format!("Envoy serves with {case}").into());
    };
    let log = error.to_string();
    for mistake in mistakes {
        assert!(
            log.contains(mistake),
            "{case}: {mistake} is not named in\n{log}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_algorithm_that_is_not_listed_is_refused() -> Result<()> {
    let only = r#"value: '{"algorithms":["ES384"]}'"#;
    let stack = Stack::start(&Bootstrap::shipped("ingress.yaml")?.with(FILTER, only)).await?;
    for (name, expected) in [
        ("client-p384", Passed),
        ("client", refused("invalid_proof")),
    ] {
        let party = stack.party(name, HTTP2)?;
        let token = token(&stack, &party)?;
        let connection = party.connect().await?;
        let proof = party.proof(&token, connection.exporter())?;
        assert_eq!(
            try_proof(&stack, &connection, &token, &proof).await?,
            expected,
            "{name}"
        );
    }
    Ok(())
}
