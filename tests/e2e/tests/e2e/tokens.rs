//! What a token's confirmation asks for, and which requests need a token at all.

use serde_json::{Value, json};
use tls_session_binding::exporter::LABEL;
use tls_session_binding_e2e::ask::{Outcome, Present, get, present};
use tls_session_binding_e2e::party::{AUDIENCE, ISSUER, Party};
use tls_session_binding_e2e::raw::RawConnection;
use tls_session_binding_e2e::stack::{Bootstrap, Stack};
use tls_session_binding_e2e::{Result, now};

use crate::VERIFIER;
use crate::vocabulary::{HTTP2, Passed, refused, token, try_proof};

fn token_with(stack: &Stack, confirmation: &Value) -> Result<String> {
    let mut claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now() + 600 });
    let cnf = (!confirmation.is_null()).then(|| ("cnf".to_owned(), confirmation.clone()));
    claims
        .as_object_mut()
        .into_iter()
        .for_each(|claims| claims.extend(cnf.clone()));
    Ok(stack.authorization_server.access_token(&claims)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_is_confirmed_for_decides_what_its_request_needs() -> Result<()> {
    let required = r#"value: '{"binding":"required"}'"#;
    let shipped = Bootstrap::shipped(VERIFIER.file())?;
    let lenient = Stack::start(&shipped.clone()).await?;
    let strict = Stack::start(&shipped.with(VERIFIER.filter(), required)).await?;
    for (stack, unbound) in [(&lenient, Passed), (&strict, refused("invalid_token"))] {
        let party = stack.party("client", HTTP2)?;
        let mine = party.signer.thumbprint().to_base64url();
        let other = stack
            .party("thief", HTTP2)?
            .signer
            .thumbprint()
            .to_base64url();
        let invalid = refused("invalid_token");
        let cases = [
            ("no confirmation", Value::Null, unbound.clone()),
            (
                "this certificate",
                json!({ "x5t#S256": mine }),
                unbound.clone(),
            ),
            (
                "another certificate",
                json!({ "x5t#S256": other }),
                invalid.clone(),
            ),
            (
                "this certificate and a proof",
                json!({ "x5t#S256": mine, "tls_exp": LABEL }),
                refused("use_session_binding"),
            ),
            (
                "another certificate and a proof",
                json!({ "x5t#S256": other, "tls_exp": LABEL }),
                invalid.clone(),
            ),
            (
                "another exporter",
                json!({ "x5t#S256": mine, "tls_exp": "EXPORTER-Channel-Binding" }),
                invalid.clone(),
            ),
            (
                "a proof without certificate",
                json!({ "tls_exp": LABEL }),
                invalid.clone(),
            ),
            (
                "a DPoP key",
                json!({ "x5t#S256": mine, "jkt": mine }),
                invalid.clone(),
            ),
            (
                "a confirmation that is no object",
                json!("x"),
                invalid.clone(),
            ),
        ];
        let connection = party.connect().await?;
        for (case, confirmation, expected) in cases {
            let token = token_with(stack, &confirmation)?;
            let outcome = stack.outcome(&connection, present(&token, None)).await?;
            assert_eq!(outcome, expected, "{case}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_token_passes_unless_binding_is_required() -> Result<()> {
    let missing_allowed = "requires: { requires_any: { requirements: [{ provider_name: demo }, { allow_missing: {} }] } }";
    let shipped = Bootstrap::shipped(VERIFIER.file())?
        .with("requires: { provider_name: demo }", missing_allowed);
    let required = r#"value: '{"binding":"required"}'"#;
    let cases = [
        (shipped.clone(), Passed),
        (
            shipped.with(VERIFIER.filter(), required),
            Outcome::Refused(None),
        ),
    ];
    for (bootstrap, expected) in cases {
        let stack = Stack::start(&bootstrap).await?;
        let party = stack.party("client", HTTP2)?;
        let connection = party.connect().await?;
        assert_eq!(
            stack.outcome(&connection, get("/").empty()).await?,
            expected
        );
        let basic = get("/").header("authorization", "Basic eDp5").empty();
        assert_eq!(stack.outcome(&connection, basic).await?, expected);
        let bound = present(&token(&stack, &party)?, None);
        assert_eq!(
            stack.outcome(&connection, bound).await?,
            refused("use_session_binding")
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_confirmation_may_be_read_from_the_payload_that_jwt_authn_verified() -> Result<()> {
    let from_payload = format!(
        r#"value: '{{"confirmation":{{"property":{}}}}}'"#,
        VERIFIER.claims()
    );
    let bootstrap = Bootstrap::shipped(VERIFIER.file())?.with(VERIFIER.filter(), &from_payload);
    let stack = Stack::start(&bootstrap).await?;
    let party = stack.party("client", HTTP2)?;
    let token = token(&stack, &party)?;
    let (connection, other) = (party.connect().await?, party.connect().await?);
    let proof = party.proof(&token, connection.exporter())?;
    assert_eq!(
        try_proof(&stack, &connection, &token, &proof).await?,
        Passed
    );
    assert_eq!(
        try_proof(&stack, &other, &token, &proof).await?,
        refused("invalid_proof")
    );
    let unproved = stack.outcome(&connection, present(&token, None)).await?;
    assert_eq!(unproved, refused("use_session_binding"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_jwt_authn_refuses_is_no_token() -> Result<()> {
    let stack = Stack::verified_by(VERIFIER).await?;
    let party = stack.party("client", HTTP2)?;
    let connection = party.connect().await?;
    let cnf = json!({ "x5t#S256": party.signer.thumbprint().to_base64url(), "tls_exp": LABEL });
    let good = json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": now() + 600, "cnf": cnf });
    let changed = |member: &str, value: Value| {
        let mut claims = good.clone();
        claims
            .as_object_mut()
            .map(|claims| claims.insert(member.to_owned(), value));
        claims
    };
    let cases = [
        ("expired", changed("exp", json!(now() - 600))),
        (
            "for another audience",
            changed("aud", json!("https://other.demo")),
        ),
        (
            "of another issuer",
            changed("iss", json!("https://other.demo")),
        ),
    ];
    for (case, claims) in cases {
        let token = stack.authorization_server.access_token(&claims)?;
        let proof = party.proof(&token, connection.exporter())?;
        let outcome = stack
            .outcome(&connection, present(&token, Some(&proof)))
            .await?;
        assert!(
            matches!(outcome, Outcome::Refused(_) | Outcome::Status(403)),
            "{case}: {outcome:?}"
        );
    }
    let token = self_signed(&party, &good)?;
    let proof = party.proof(&token, connection.exporter())?;
    let outcome = try_proof(&stack, &connection, &token, &proof).await?;
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    Ok(())
}

/// A token that the client issues to itself.
fn self_signed(party: &Party, claims: &Value) -> Result<String> {
    party.forge(&json!({ "typ": "at+jwt", "alg": "ES256" }), claims)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_refused_on_a_connection_without_client_certificate() -> Result<()> {
    let optional = r#""peer": { "certificate": "optional", "#;
    let bootstrap = Bootstrap::shipped(VERIFIER.file())?.with(r#""peer": { "#, optional);
    let stack = Stack::start(&bootstrap).await?;
    let party = stack.party("client", HTTP2)?;
    let token = token(&stack, &party)?;
    let mut connection = RawConnection::open(stack.address, &stack.pki(), None).await?;
    let proof = party.proof(&token, &connection.exporter()?)?;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nSession-Binding-Proof: {proof}\r\n\r\n"
    );
    let answer = connection.exchange(request.as_bytes(), 1).await?;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(stack.upstream.requests(), 0);
    // The same proof with the certificate shows that nothing else was wrong.
    let shown = party.connect().await?;
    let proof = party.proof(&token, shown.exporter())?;
    assert_eq!(try_proof(&stack, &shown, &token, &proof).await?, Passed);
    Ok(())
}
