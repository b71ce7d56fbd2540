//! `session-binding inspect`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use tls_session_binding::certificate::ClientCertificate;
use tls_session_binding::exporter::LABEL;
use tls_session_binding::proof::is_proof_type;
use tls_session_binding_client::explain::Decoded;
use tls_session_binding_client::pem;

use crate::{Outcome, unix_time, value_or_file};

/// Show what is in a token, a proof or a certificate. Nothing is verified.
///
/// Of a proof, `ekm` and `ath` are not shown, and of a JWT not the signature. Exit status: 0, or 2 if it is none of
/// these.
#[derive(Args)]
pub(crate) struct InspectArguments {
    /// Token, proof or certificate (PEM), or @FILE that holds one.
    #[arg(allow_hyphen_values = true, value_name = "TEXT|@FILE")]
    what: String,
}

pub(crate) fn run(arguments: &InspectArguments) -> Outcome<ExitCode> {
    let text = value_or_file(&arguments.what)?;
    let text = text.trim();
    let shown = if text.contains("-----BEGIN") {
        certificate(text)?
    } else {
        jwt(text).ok_or("this is neither a signed JWT nor a certificate in PEM")?
    };
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(ExitCode::SUCCESS)
}

fn certificate(text: &str) -> Outcome<Value> {
    let leaf = pem::certificates(text.as_bytes())?.swap_remove(0);
    let unreadable = |_| "the certificate cannot be read";
    let certificate = ClientCertificate::from_der(&leaf).map_err(unreadable)?;
    let kind = certificate.key().map(|key| format!("{:?}", key.kind()));
    Ok(json!({
        "kind": "certificate",
        "x5t#S256": certificate.thumbprint().to_base64url(),
        "key": kind.unwrap_or_else(|_| "of a kind that no proof may be signed with".to_owned()),
        "not_after": certificate.not_after(),
        "seconds_left": left(certificate.not_after()),
    }))
}

fn jwt(text: &str) -> Option<Value> {
    let decoded = Decoded::of(text)?;
    let typ = decoded.header.get("typ").and_then(Value::as_str);
    Some(if typ.is_some_and(is_proof_type) {
        proof(decoded)
    } else {
        token(&decoded)
    })
}

fn proof(mut decoded: Decoded) -> Value {
    for name in ["ekm", "ath"] {
        if let Some(secret) = decoded.payload.get_mut(name) {
            *secret = "not shown".into();
        }
    }
    let has = |name: &&str| decoded.payload.get(name).is_some();
    let for_one = ["jti", "htm", "htu"].iter().any(has);
    let issued = decoded.payload.get("iat").and_then(Value::as_u64);
    json!({
        "kind": "session-binding proof",
        "for": if for_one { "one request" } else { "its connection" },
        "header": decoded.header,
        "claims": decoded.payload,
        "seconds_old": issued.map(|issued| left(issued).map(|seconds| -seconds)),
    })
}

fn token(decoded: &Decoded) -> Value {
    let cnf = decoded.payload.get("cnf");
    let member = |name: &str| cnf.and_then(|cnf| cnf.get(name)).and_then(Value::as_str);
    let bound = match (member("x5t#S256"), member("tls_exp")) {
        (Some(_), Some(LABEL)) => "a certificate and, by a proof, the TLS connection",
        (_, Some(_)) => "nothing that this verifier accepts: see cnf",
        (Some(_), None) => "a certificate (RFC 8705): no proof is needed",
        (None, None) => "nothing that is known here",
    };
    let expires = decoded.payload.get("exp").and_then(Value::as_u64);
    json!({
        "kind": "access token",
        "bound_to": bound,
        "header": decoded.header,
        "claims": decoded.payload,
        "seconds_left": expires.map(left),
    })
}

/// Seconds from now until then.
fn left(then: u64) -> Option<i64> {
    i64::try_from(then).ok()?.checked_sub_unsigned(unix_time())
}
