//! The words that the tests share.

use tls_session_binding_client::AccessToken;
use tls_session_binding_client::http::{HttpVersion, Options, Session, TlsVersion};
use tls_session_binding_client::proof::ProofBuilder;
use tls_session_binding_e2e::ask::{Outcome, present};
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::stack::{Bootstrap, Stack};
use tls_session_binding_e2e::{Result, now};

use crate::VERIFIER;

pub(crate) const HTTP1: Options = Options::new(TlsVersion::Tls13, HttpVersion::Http1);
pub(crate) const HTTP2: Options = Options::new(TlsVersion::Tls13, HttpVersion::Http2);

pub(crate) use Outcome::Passed;

/// 401 with an error code.
pub(crate) fn refused(error: &str) -> Outcome {
    Outcome::refused(error)
}

/// The shipped stack with TLS 1.2 allowed beside 1.3.
pub(crate) async fn stack_with_tls12() -> Result<Stack> {
    let bootstrap = Bootstrap::shipped(VERIFIER.file())?;
    Stack::start(&bootstrap.with(r#""versions": ["1.3"]"#, r#""versions": ["1.2", "1.3"]"#)).await
}

/// The shipped file with this configuration of the filter.
pub(crate) fn configured(configuration: &str) -> Result<Bootstrap> {
    let value = format!("value: '{}'", configuration.replace('\n', " "));
    Ok(Bootstrap::shipped(VERIFIER.file())?.with(VERIFIER.filter(), &value))
}

/// A token of Alice's for the party's certificate.
pub(crate) fn token(stack: &Stack, party: &Party) -> Result<String> {
    party.token(&stack.authorization_server, "alice")
}

/// Presents a token and a proof on a connection.
pub(crate) async fn try_proof(
    stack: &Stack,
    on: &Session,
    token: &str,
    proof: &str,
) -> Result<Outcome> {
    stack.outcome(on, present(token, Some(proof))).await
}

/// A proof that is good once.
pub(crate) fn once(
    party: &Party,
    token: &str,
    exporter: &tls_session_binding_client::ExporterValue,
    id: &str,
) -> Result<String> {
    let hash = AccessToken::parse(token).map_err(|_| "not a token")?.hash();
    let proof = ProofBuilder::new(&hash, exporter, now())
        .id(id)
        .sign(&party.signer)?;
    Ok(proof.as_str().to_owned())
}
