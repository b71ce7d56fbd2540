//! What changes under a request or a connection after it was judged.

use std::time::Duration;

use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::present;
use tls_session_binding_e2e::stack::{Bootstrap, Stack};

use crate::VERIFIER;
use crate::brief;
use crate::counts::settled;
use crate::vocabulary::{HTTP2, Passed, once, refused, token, try_proof};

const ROUTE: &str = "                        - match: { prefix: / }
                          route: { cluster: service, timeout: 0s, idle_timeout: 3600s }
";

/// In front of the shipped route: a service that moves `/orders`, which Envoy itself follows.
const MOVED: &str = "                        - match: { path: /orders }
                          route:
                            cluster: mover
                            internal_redirect_policy: { allow_cross_scheme_redirect: true }
";

const MOVER: &str = r#"
    - name: mover
      address: { pipe: { path: target/demo/mover.sock } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: mover
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
                route_config:
                  virtual_hosts:
                    - name: mover
                      domains: ["*"]
                      routes:
                        - match: { prefix: / }
                          redirect: { host_redirect: service.demo, path_redirect: /moved, https_redirect: true, response_code: FOUND }

  clusters:
    - name: mover
      load_assignment:
        cluster_name: mover
        endpoints:
          - lb_endpoints:
              - endpoint: { address: { pipe: { path: target/demo/mover.sock } } }
"#;

/// H33: the filter sees the request once more, on the same connection and without the proof that it removed.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_envoy_redirects_keeps_its_proof_of_the_connection_and_no_other()
-> Result<()> {
    let bootstrap = Bootstrap::shipped(VERIFIER.file())?
        .with(ROUTE, &format!("{MOVED}{ROUTE}"))
        .with("\n  clusters:\n", MOVER);
    let stack = Stack::start(&bootstrap).await?;
    let party = stack.party("client", HTTP2)?;
    let connection = party.connect().await?;
    let token = token(&stack, &party)?;
    let proof = party.proof(&token, connection.exporter())?;
    for _ in 0..3 {
        let outcome = try_proof(&stack, &connection, &token, &proof).await?;
        assert_eq!(outcome, Passed);
    }
    let once = once(&party, &token, connection.exporter(), "redirected")?;
    let outcome = try_proof(&stack, &connection, &token, &once).await?;
    assert_eq!(outcome, refused("invalid_proof"));
    let stat = async |name: &str| settled(&stack.envoy, name).await;
    assert_eq!(stat("internal_redirect_succeeded_total").await?, 4);
    assert_eq!(
        stat("session_binding.refused.proof_spent.default").await?,
        1
    );
    // What is kept for one request is of no use to the next.
    let outcome = stack.outcome(&connection, present(&token, None)).await?;
    assert_eq!(outcome, refused("use_session_binding"));
    Ok(())
}

/// C08, T14
#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_on_a_connection_ends_with_the_clients_certificate() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    brief::issue(&stack.pki(), "brief", MOMENT)?;
    let party = stack.party("brief", HTTP2)?;
    let connection = party.connect().await?;
    let token = token(&stack, &party)?;
    let proof = party.proof(&token, connection.exporter())?;
    for _ in 0..2 {
        let outcome = try_proof(&stack, &connection, &token, &proof).await?;
        assert_eq!(outcome, Passed);
    }
    // The last second is still good.
    tokio::time::sleep(MOMENT + Duration::from_secs(1)).await;
    for proof in [Some(proof.as_str()), None] {
        let outcome = stack.outcome(&connection, present(&token, proof)).await?;
        assert_eq!(outcome, refused("invalid_proof"));
    }
    Ok(())
}

const MOMENT: Duration = Duration::from_secs(4);
