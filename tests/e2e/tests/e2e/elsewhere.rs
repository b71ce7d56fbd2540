//! F2: tokens that `jwt_authn` takes from where this filter does not read them.

use http::Request;
use hyper::body::Bytes;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, Present, get, present};
use tls_session_binding_e2e::stack::{Bootstrap, Stack};

use crate::VERIFIER;
use crate::counts::settled;
use crate::vocabulary::{HTTP2, Passed, configured, refused, token, try_proof};

const FROM_AUTHORIZATION: &str = r#"from_headers:
                            - { name: Authorization, value_prefix: "Bearer " }
                            - { name: Authorization, value_prefix: "bearer " }
                            - { name: Authorization, value_prefix: "BEARER " }
"#;

/// The bootstrap with tokens from these further places, beside `Authorization`.
fn told(bootstrap: Bootstrap, places: &str) -> Bootstrap {
    let places = format!("{FROM_AUTHORIZATION}{places}");
    bootstrap.with(FROM_AUTHORIZATION, &places)
}

/// Claims are read where `jwt_authn` puts them.
fn payload() -> String {
    format!(
        r#"{{"confirmation": {{"property": {}}}}}"#,
        VERIFIER.claims()
    )
}

const X_TOKEN: &str = "                            - { name: x-token }\n";
const X_FIRST: &str = "                            - { name: a-token }\n";
const COOKIE: &str = "                          from_cookies: [session]\n";
const PARAM: &str = "                          from_params: [jwt]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_that_jwt_authn_takes_from_elsewhere_goes_nowhere() -> Result<()> {
    type Steal = fn(&str) -> Request<Bytes>;
    let cases: [(&str, &str, Steal); 5] = [
        ("another header", X_TOKEN, |token| {
            get("/orders").header("x-token", token).empty()
        }),
        ("a cookie", COOKIE, |token| {
            get("/orders")
                .header("cookie", format!("a=b; session={token}"))
                .empty()
        }),
        ("a parameter", PARAM, |token| {
            get(&format!("/orders?jwt={token}")).empty()
        }),
        (
            "Authorization without prefix",
            "                            - { name: Authorization }\n",
            |token| get("/orders").header("authorization", token).empty(),
        ),
        ("Authorization, within another scheme", "", |token| {
            let value = format!("Digest a=b,Bearer {token}");
            get("/orders").header("authorization", value).empty()
        }),
    ];
    for (case, places, steal) in cases {
        let stack = Stack::start(&told(configured(&payload())?, places)).await?;
        let (client, thief) = (stack.party("client", HTTP2)?, stack.party("thief", HTTP2)?);
        let (token, connection) = (token(&stack, &client)?, thief.connect().await?);
        let outcome = stack.outcome(&connection, steal(&token)).await?;
        assert!(
            matches!(outcome, Outcome::Refused(Some(_))),
            "{case}: {outcome:?}"
        );
        if case.ends_with("without prefix") {
            // Then `jwt_authn` takes the word `Bearer` for a token, and refuses it.
            continue;
        }
        // Presented as it should be, by its holder: nothing else was wrong.
        let own = client.connect().await?;
        let proof = client.proof(&token, own.exporter())?;
        assert_eq!(
            try_proof(&stack, &own, &token, &proof).await?,
            Passed,
            "{case}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_jwt_authn_takes_away_is_missed() -> Result<()> {
    let bootstrap = configured(&payload())?.with("forward: true", "forward: false");
    let stack = Stack::start(&bootstrap).await?;
    let (client, thief) = (stack.party("client", HTTP2)?, stack.party("thief", HTTP2)?);
    let token = token(&stack, &client)?;
    for party in [&client, &thief] {
        let connection = party.connect().await?;
        let proof = party.proof(&token, connection.exporter())?;
        for proof in [None, Some(proof.as_str())] {
            let outcome = stack.outcome(&connection, present(&token, proof)).await?;
            assert!(matches!(outcome, Outcome::Refused(Some(_))), "{outcome:?}");
        }
    }
    let counter = "session_binding.refused.token_elsewhere.default";
    assert_eq!(settled(&stack.envoy, counter).await?, 4);
    Ok(())
}

/// `jwt_authn` publishes the token of the header whose name comes first.
#[tokio::test(flavor = "multi_thread")]
async fn ones_own_token_and_proof_do_not_carry_a_stolen_token_along() -> Result<()> {
    let required = format!(
        r#"{{"binding": "required", "confirmation": {{"property": {}}}, "tokens_elsewhere": {{"headers": ["x-token"]}}}}"#,
        VERIFIER.claims()
    );
    let places = format!("{X_FIRST}{X_TOKEN}");
    let stack = Stack::start(&told(configured(&required)?, &places)).await?;
    let (client, thief) = (stack.party("client", HTTP2)?, stack.party("thief", HTTP2)?);
    let stolen = token(&stack, &client)?;
    let own = thief.token(&stack.authorization_server, "mallory")?;
    let connection = thief.connect().await?;
    let proof = thief.proof(&own, connection.exporter())?;
    let request = |header: Option<&'static str>| {
        let request = get("/orders").token(&own).proof(&proof);
        header
            .into_iter()
            .fold(request, |request, name| request.header(name, &stolen))
            .empty()
    };
    // Twice, for the second one could be known.
    for _ in 0..2 {
        assert_eq!(stack.outcome(&connection, request(None)).await?, Passed);
        for header in ["a-token", "x-token"] {
            let outcome = stack.outcome(&connection, request(Some(header))).await?;
            assert_eq!(outcome, refused("invalid_token"), "{header}");
        }
    }
    for (reason, count) in [("claims_of_another_token", 2), ("token_elsewhere", 2)] {
        let counter = format!("session_binding.refused.{reason}.default");
        assert_eq!(settled(&stack.envoy, &counter).await?, count, "{reason}");
    }
    Ok(())
}

/// Without property: what stands in `Authorization` is judged wherever it stands there.
#[tokio::test(flavor = "multi_thread")]
async fn without_property_a_bound_token_under_another_scheme_is_refused() -> Result<()> {
    let places = r#"                            - { name: Authorization, value_prefix: "Token " }
"#;
    let stack = Stack::start(&told(configured("{}")?, places)).await?;
    let (client, thief) = (stack.party("client", HTTP2)?, stack.party("thief", HTTP2)?);
    let (token, connection) = (token(&stack, &client)?, thief.connect().await?);
    for value in [
        format!("Token {token}"),
        format!("Digest a=\"Token {token}\""),
    ] {
        let request = get("/orders").header("authorization", value).empty();
        let outcome = stack.outcome(&connection, request).await?;
        assert!(matches!(outcome, Outcome::Refused(Some(_))), "{outcome:?}");
    }
    Ok(())
}
