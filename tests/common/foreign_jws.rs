//! Wycheproof's JSON Web Signatures, taken apart as a proof is.

use serde::Deserialize;
use serde_json::Value;
use tls_session_binding::algorithm::Algorithm;
use tls_session_binding::{base64url, json};
use wycheproof_ng_kdf_jose::json_web;

use super::der;
use super::foreign::ec_spki;
use super::template::unhex;

/// The name of the set.
pub(crate) const SET: &str = "json_web_signature";

/// The set's JSON.
pub(crate) fn text() -> &'static str {
    json_web::TestName::JsonWebSignature.json_data()
}

/// What a test has for a JWS.
pub(crate) fn jws(test: &Value) -> String {
    let jws = test["jws"].as_str();
    jws.map_or_else(|| test["jws"].to_string(), str::to_owned)
}

/// The algorithm; key, signed text and signature. None where there is no such thing.
pub(crate) fn signature(group: &Value, test: &Value) -> Option<(Algorithm, [Vec<u8>; 3])> {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
    }
    let jws = jws(test);
    let parts: Vec<&str> = jws.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        return None;
    };
    let decode = |part: &str| base64url::decode(part.as_bytes()).ok();
    let (header, _, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
    let header = json::parse_object::<Header>(&header).ok()?;
    let (signed, _) = jws.rsplit_once('.')?;
    let spki = spki_of_jwk(&group["public"])?;
    Some((
        Algorithm::from_name(&header.alg)?,
        [spki, signed.into(), signature],
    ))
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
