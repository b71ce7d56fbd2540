//! The ways by which exporter value and client certificate reach the filter.

use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, present};
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::stack::{Bootstrap, Stack};
use tls_session_binding_e2e::terminator::Terminator;

use crate::vocabulary::{HTTP1, HTTP2, Passed, refused, token, try_proof};

#[tokio::test(flavor = "multi_thread")]
async fn a_terminator_may_hand_them_over_in_the_proxy_protocol() -> Result<()> {
    let stack = Stack::start(&Bootstrap::shipped("proxy-protocol.yaml")?).await?;
    let terminator = Terminator::start(&stack.pki(), stack.address).await?;
    for options in [HTTP1, HTTP2] {
        let party = Party::new(&stack.pki(), "client", terminator.address, options)?;
        binds(&stack, &party).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_filter_may_put_them_into_dynamic_metadata() -> Result<()> {
    let stack = Stack::start(&Bootstrap::shipped("metadata.yaml")?).await?;
    for options in [HTTP1, HTTP2] {
        binds(&stack, &stack.party("client", options)?).await?;
    }
    Ok(())
}

async fn binds(stack: &Stack, party: &Party) -> Result<()> {
    let token = token(stack, party)?;
    let (connection, other) = (party.connect().await?, party.connect().await?);
    let proof = party.proof(&token, connection.exporter())?;
    assert_eq!(try_proof(stack, &connection, &token, &proof).await?, Passed);
    let unproved = stack.outcome(&connection, present(&token, None)).await?;
    assert_eq!(unproved, refused("use_session_binding"));
    assert_eq!(
        try_proof(stack, &other, &token, &proof).await?,
        refused("invalid_proof")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_does_not_give_or_gives_unreadably_fails_closed() -> Result<()> {
    let unavailable = || Outcome::Status(503);
    let cases = [
        ("nothing", "nil", unavailable()),
        (
            "not base64url",
            r#"key == "exporter" and "!" or VALUE"#,
            unavailable(),
        ),
        (
            "hexadecimal instead",
            r#"key == "exporter" and string.rep("0", 64) or VALUE"#,
            unavailable(),
        ),
        (
            "31 bytes",
            r#"key == "exporter" and string.rep("A", 42) or VALUE"#,
            unavailable(),
        ),
        (
            "an empty exporter value",
            r#"key == "exporter" and "" or VALUE"#,
            unavailable(),
        ),
        (
            "not a certificate",
            r#"key == "client_certificate" and "AAAA" or VALUE"#,
            unavailable(),
        ),
        // This is the client's fault: it was asked and showed none.
        (
            "no certificate",
            r#"key == "client_certificate" and "none" or VALUE"#,
            refused("invalid_proof"),
        ),
    ];
    let from_module = r#"stream:filterState():get("tls_session_binding." .. key)"#;
    for (case, value, expected) in cases {
        let value = value.replace("VALUE", from_module);
        let bootstrap = Bootstrap::shipped("metadata.yaml")?.with(from_module, &value);
        let stack = Stack::start(&bootstrap).await?;
        let party = stack.party("client", HTTP2)?;
        let token = token(&stack, &party)?;
        let connection = party.connect().await?;
        let proof = party.proof(&token, connection.exporter())?;
        let outcome = try_proof(&stack, &connection, &token, &proof).await?;
        assert_eq!(outcome, expected, "{case}");
    }
    Ok(())
}
