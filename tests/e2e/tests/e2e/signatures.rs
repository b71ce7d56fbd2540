//! Signatures: who verifies them, and which ones pass.

use std::sync::Arc;

use rustls::SignatureScheme;
use serde_json::{Value, json};
use tls_session_binding::base64url;
use tls_session_binding::proof::TYPE;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::party::{Party, proof_claims};
use tls_session_binding_e2e::stack::{Bootstrap, Stack};

use crate::host_calls::without;
use crate::vocabulary::{HTTP2, Passed, refused, token, try_proof};

const RSA: [(&str, SignatureScheme); 6] = [
    ("RS256", SignatureScheme::RSA_PKCS1_SHA256),
    ("RS384", SignatureScheme::RSA_PKCS1_SHA384),
    ("RS512", SignatureScheme::RSA_PKCS1_SHA512),
    ("PS256", SignatureScheme::RSA_PSS_SHA256),
    ("PS384", SignatureScheme::RSA_PSS_SHA384),
    ("PS512", SignatureScheme::RSA_PSS_SHA512),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_rsa_signature_passes_under_its_own_algorithm_only() -> Result<()> {
    let stack = Stack::ingress().await?;
    let party = stack.party("client-rsa", HTTP2)?;
    let connection = party.connect().await?;
    let token = token(&stack, &party)?;
    let claims = proof_claims(&token, connection.exporter())?;
    for (signed, scheme) in RSA {
        for (labelled, _) in RSA {
            let proof = rsa_proof(&party, labelled, scheme, &claims)?;
            let expected = if signed == labelled {
                Passed
            } else {
                refused("invalid_proof")
            };
            let outcome = try_proof(&stack, &connection, &token, &proof).await?;
            assert_eq!(outcome, expected, "signed {signed}, labelled {labelled}");
        }
    }
    Ok(())
}

fn rsa_proof(party: &Party, alg: &str, scheme: SignatureScheme, claims: &Value) -> Result<String> {
    let thumbprint = party.signer.thumbprint().to_base64url();
    let header = json!({ "typ": TYPE, "alg": alg, "x5t#S256": thumbprint });
    let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
    let input = format!("{}.{}", part(&header), part(claims));
    let key = Arc::clone(&party.signer.certified_key().key);
    let signer = key
        .choose_scheme(&[scheme])
        .ok_or("the key does not sign so")?;
    Ok(format!(
        "{input}.{}",
        base64url::encode(&signer.sign(input.as_bytes())?)
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_signature_of_any_key_type_is_refused() -> Result<()> {
    let stack = Stack::ingress().await?;
    for name in ["client", "client-p384", "client-rsa", "client-ed25519"] {
        let party = stack.party(name, HTTP2)?;
        let connection = party.connect().await?;
        let token = token(&stack, &party)?;
        let proof = party.proof(&token, connection.exporter())?;
        let (input, signature) = proof.rsplit_once('.').ok_or("no signature")?;
        let mut bytes = base64url::decode(signature.as_bytes()).map_err(|_| "not base64url")?;
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            bytes[at] ^= 1;
            let changed = format!("{input}.{}", base64url::encode(&bytes));
            let outcome = try_proof(&stack, &connection, &token, &changed).await?;
            assert_eq!(outcome, refused("invalid_proof"), "{name}, byte {at}");
            bytes[at] ^= 1;
        }
        assert_eq!(
            try_proof(&stack, &connection, &token, &proof).await?,
            Passed,
            "{name}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_type_is_verified_with_and_without_the_hosts_help_and_the_log_says_which()
-> Result<()> {
    let shipped = Bootstrap::shipped("ingress.yaml")?;
    let restricted = without("proxy_call_foreign_function")?;
    let cases = [
        (
            shipped,
            "signatures by the host: ES256 ES384 RS256 RS384 RS512; in Wasm: EdDSA PS256 PS384 PS512",
        ),
        (
            restricted,
            "in Wasm: ES256 ES384 EdDSA RS256 RS384 RS512 PS256 PS384 PS512",
        ),
    ];
    for (bootstrap, said) in cases {
        let stack = Stack::start(&bootstrap).await?;
        assert!(
            stack.envoy.log().contains(said),
            "{said}\n{}",
            stack.envoy.log()
        );
        for name in ["client", "client-p384", "client-rsa", "client-ed25519"] {
            let party = stack.party(name, HTTP2)?;
            let connection = party.connect().await?;
            let token = token(&stack, &party)?;
            let proof = party.proof(&token, connection.exporter())?;
            let changed = format!("{}A", proof.get(..proof.len() - 2).unwrap_or_default());
            let outcome = try_proof(&stack, &connection, &token, &changed).await?;
            assert_eq!(outcome, refused("invalid_proof"), "{name}");
            assert_eq!(
                try_proof(&stack, &connection, &token, &proof).await?,
                Passed,
                "{name}"
            );
        }
    }
    Ok(())
}
