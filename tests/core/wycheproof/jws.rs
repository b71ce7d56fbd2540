//! JSON Web Signatures, read as a proof is.

use serde::Deserialize;
use serde_json::Value;
use tls_session_binding::algorithm::Algorithm;
use tls_session_binding::proof::UntrustedProof;
use tls_session_binding::{base64url, json};
use wycheproof_ng_kdf_jose::json_web;

use super::{Runner, verifies};
use crate::common::der;
use crate::common::foreign::ec_spki;
use crate::common::template::unhex;

#[test]
fn json_web_signatures() {
    let runner = Runner::new(&[("json_web_signature", &[])]);
    let text = json_web::TestName::JsonWebSignature.json_data();
    runner.run("json_web_signature", text, |group, test| {
        let jws = test["jws"]
            .as_str()
            .map_or_else(|| test["jws"].to_string(), str::to_owned);
        assert!(
            UntrustedProof::parse(jws.as_bytes()).is_err(),
            "no proof: {jws}"
        );
        spki_of_jwk(&group["public"]).is_some_and(|spki| is_good_jws(&jws, &spki))
    });
    runner.finish();
}

fn spki_of_jwk(key: &Value) -> Option<Vec<u8>> {
    let number = |name: &str| base64url::decode(key[name].as_str()?.as_bytes()).ok();
    match key["kty"].as_str()? {
        "EC" => {
            let point = [vec![4], number("x")?, number("y")?].concat();
            Some(ec_spki(key["crv"].as_str()?, &point))
        }
        "RSA" => {
            let integer = |bytes: Vec<u8>| {
                der::element(0x02, &[vec![0; usize::from(bytes[0] >> 7)], bytes].concat())
            };
            let key = der::element(
                0x30,
                &[integer(number("n")?), integer(number("e")?)].concat(),
            );
            let bits = der::element(0x03, &[vec![0], key].concat());
            Some(der::element(
                0x30,
                &[unhex("300d06092a864886f70d0101010500"), bits].concat(),
            ))
        }
        _ => None,
    }
}

/// A JWS as a proof is read, but for what it says.
fn is_good_jws(jws: &str, spki: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
    }
    let parts: Vec<&str> = jws.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        return false;
    };
    let decode = |part: &str| base64url::decode(part.as_bytes());
    let (Ok(header), Ok(_), Ok(signature)) = (decode(header), decode(payload), decode(signature))
    else {
        return false;
    };
    let algorithm = json::parse_object::<Header>(&header)
        .ok()
        .and_then(|header| Algorithm::from_name(&header.alg));
    let signed = jws.rsplit_once('.').unwrap().0;
    algorithm.is_some_and(|algorithm| verifies(algorithm, spki, signed.as_bytes(), &signature))
}
