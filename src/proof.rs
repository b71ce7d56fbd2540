//! The session-binding proof (draft section 2.3): a compact JWS (RFC 7515) whose claims are read and
//! whose signature is not yet believed.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::digest::{AccessTokenHash, CertificateThumbprint};
use crate::error::ClientFault;
use crate::exporter::{EXPORTER_BYTES, ExporterValue};
use crate::json;
use crate::limits::{MAX_HTU_BYTES, MAX_JTI_BYTES, MAX_PROOF_BYTES};
use crate::numeric_date::{NumericDate, present};

/// Name of the request header that carries the proof, in lower case.
pub const HEADER: &str = "session-binding-proof";

/// `typ` of a proof.
pub const TYPE: &str = "tls-binding-proof+jwt";

/// Whether `typ` names a proof: a media type, so without regard to case and with or without
/// `application/` (RFC 7515 section 4.1.9).
#[must_use]
pub fn is_proof_type(typ: &str) -> bool {
    const PREFIX: &str = "application/";
    let short = match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => typ,
    };
    short.eq_ignore_ascii_case(TYPE)
}

/// A proof as a client sent it: well-formed, and nothing more. Its signature is unverified and its
/// claims are compared with nothing.
///
/// `Debug` is not implemented: the proof is a secret of its connection.
pub struct UntrustedProof<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) algorithm: Algorithm,
    pub(crate) certificate: CertificateThumbprint,
    pub(crate) access_token_hash: AccessTokenHash,
    pub(crate) exporter: ExporterValue,
    /// `iat`, in seconds since 1970.
    pub(crate) issued_at: u64,
    /// `exp`, in seconds since 1970.
    pub(crate) expires: Option<u64>,
    /// `nbf`, in seconds since 1970.
    pub(crate) not_before: Option<u64>,
    pub(crate) request: RequestClaims,
    pub(crate) signing_input: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

/// The claims that tie a proof to one request instead of a connection.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestClaims {
    /// `jti`: unique identifier of the proof.
    pub jti: Option<String>,
    /// `htm`: HTTP method.
    pub method: Option<String>,
    /// `htu`: HTTP target URI.
    pub target_uri: Option<String>,
}

impl RequestClaims {
    /// Whether there is none of them: the proof is connection-level.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.jti.is_none() && self.method.is_none() && self.target_uri.is_none()
    }
}

/// The one proof among a request's `Session-Binding-Proof` values, if there is any.
///
/// # Errors
/// [`ClientFault::ProofRepeated`].
pub fn only<'a>(values: &[&'a [u8]]) -> Result<Option<&'a [u8]>, ClientFault> {
    match values {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(ClientFault::ProofRepeated),
    }
}

impl<'a> UntrustedProof<'a> {
    /// Reads a proof from its header value.
    ///
    /// Strict where laxness was exploited elsewhere: exactly three parts of unpadded base64url, no
    /// duplicate members, no header parameter that would change the reading of the rest, every known
    /// member of its right type. Unknown members are ignored; keys and URLs in the header never count.
    ///
    /// # Errors
    /// [`ClientFault::ProofTooLong`], [`ClientFault::ProofMalformed`], [`ClientFault::ProofTypeWrong`],
    /// [`ClientFault::ProofHeaderUnsupported`], [`ClientFault::ProofAlgorithmRefused`].
    pub fn parse(value: &'a [u8]) -> Result<Self, ClientFault> {
        if value.len() > MAX_PROOF_BYTES {
            return Err(ClientFault::ProofTooLong);
        }
        let parts = Parts::split(value).ok_or(ClientFault::ProofMalformed)?;
        let header = decode::<Header>(parts.header)?;
        if !is_proof_type(&header.typ) {
            return Err(ClientFault::ProofTypeWrong);
        }
        if header.has_unsupported_member() {
            return Err(ClientFault::ProofHeaderUnsupported);
        }
        let algorithm =
            Algorithm::from_name(&header.alg).ok_or(ClientFault::ProofAlgorithmRefused)?;
        let claims = decode::<Claims>(parts.payload)?;
        claims.check_lengths()?;
        Ok(Self {
            text: value,
            algorithm,
            certificate: CertificateThumbprint::parse(header.thumbprint.as_bytes())
                .map_err(malformed)?,
            access_token_hash: AccessTokenHash::parse(&claims.ath).map_err(malformed)?,
            exporter: parse_exporter(&claims.ekm)?,
            issued_at: claims.iat.floor(),
            expires: claims.exp.map(NumericDate::floor),
            not_before: claims.nbf.map(NumericDate::floor),
            request: RequestClaims {
                jti: claims.jti,
                method: claims.htm,
                target_uri: claims.htu,
            },
            signing_input: parts.signing_input,
            signature: base64url::decode(parts.signature).map_err(malformed)?,
        })
    }
}

impl UntrustedProof<'_> {
    /// Whether it has a claim that ties it to one request instead of the connection.
    pub(crate) const fn is_for_one_request(&self) -> bool {
        !self.request.is_empty()
    }
}

fn malformed(_: base64url::Malformed) -> ClientFault {
    ClientFault::ProofMalformed
}

fn parse_exporter(ekm: &str) -> Result<ExporterValue, ClientFault> {
    let bytes = base64url::decode_array::<EXPORTER_BYTES>(ekm.as_bytes()).map_err(malformed)?;
    Ok(ExporterValue::from_bytes(bytes))
}

fn decode<T: serde::de::DeserializeOwned>(part: &[u8]) -> Result<T, ClientFault> {
    let text = base64url::decode(part).map_err(malformed)?;
    json::parse_object(&text).map_err(|_| ClientFault::ProofMalformed)
}

/// The three parts of a compact JWS (RFC 7515 section 7.1), still encoded.
struct Parts<'a> {
    header: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
    signing_input: &'a [u8],
}

impl<'a> Parts<'a> {
    fn split(value: &'a [u8]) -> Option<Self> {
        let mut parts = value.split(|&byte| byte == b'.');
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let signing_input = value.get(..header.len() + 1 + payload.len())?;
        let complete = parts.next().is_none() && !signature.is_empty();
        complete.then_some(Self {
            header,
            payload,
            signature,
            signing_input,
        })
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    #[serde(rename = "x5t#S256")]
    thumbprint: String,
    #[serde(default, deserialize_with = "present")]
    crit: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    b64: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    zip: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    enc: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    cty: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    jwk: Option<IgnoredAny>,
}

impl Header {
    /// `crit` demands an extension and none is understood (RFC 7515 section 4.1.11); `b64`, `zip`, `enc`
    /// and `cty` change what the payload is; `jwk` offers a key where only the connection's counts.
    fn has_unsupported_member(&self) -> bool {
        [self.crit, self.b64, self.zip, self.enc, self.cty, self.jwk]
            .iter()
            .any(Option::is_some)
    }
}

#[derive(Deserialize)]
struct Claims {
    ath: String,
    ekm: String,
    iat: NumericDate,
    #[serde(default, deserialize_with = "present")]
    exp: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    jti: Option<String>,
    #[serde(default, deserialize_with = "present")]
    htm: Option<String>,
    #[serde(default, deserialize_with = "present")]
    htu: Option<String>,
}

impl Claims {
    fn check_lengths(&self) -> Result<(), ClientFault> {
        let jti_fits = self
            .jti
            .as_ref()
            .is_none_or(|jti| (1..=MAX_JTI_BYTES).contains(&jti.len()));
        let htu_fits = self
            .htu
            .as_ref()
            .is_none_or(|htu| htu.len() <= MAX_HTU_BYTES);
        if jti_fits && htu_fits {
            Ok(())
        } else {
            Err(ClientFault::ProofMalformed)
        }
    }
}
