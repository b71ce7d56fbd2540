//! Whose certificate a server must show, where that is not simply the host of the URL.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use thiserror::Error;
use x509_cert::Certificate;
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::der::{Decode as _, Tag, TagNumber, Tagged as _};
use x509_cert::ext::pkix::{KeyUsage, SubjectAltName};

const URI: Tag = Tag::ContextSpecific {
    constructed: false,
    number: TagNumber::N6,
};

/// A SPIFFE ID: `spiffe://<trust domain>/<path>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpiffeId(String);

impl std::str::FromStr for SpiffeId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = "a SPIFFE ID is written spiffe://<trust domain>/<path>";
        let (domain, path) = text
            .strip_prefix("spiffe://")
            .and_then(|rest| rest.split_once('/'))
            .ok_or(malformed)?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_segment =
            |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(legal);
        let is_domain = !domain.is_empty()
            && domain.bytes().all(legal)
            && !domain.bytes().any(|byte| byte.is_ascii_uppercase());
        if is_domain && path.split('/').all(is_segment) {
            Ok(Self(text.to_owned()))
        } else {
            Err(malformed)
        }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Accepts the server that holds an X.509-SVID of one SPIFFE ID, whatever host it is reached by.
#[derive(Debug)]
pub(super) struct BySpiffeId {
    pub(super) id: SpiffeId,
    pub(super) trusted: RootCertStore,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for BySpiffeId {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(leaf)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.trusted,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        if is_svid_of(leaf, &self.id) {
            return Ok(ServerCertVerified::assertion());
        }
        let another = AnotherServer(self.id.clone());
        Err(CertificateError::Other(OtherError(Arc::new(another))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The server's certificate is not the one of the SPIFFE ID that was asked for.
#[derive(Error)]
#[error("it is not an X.509-SVID of {0}")]
struct AnotherServer(SpiffeId);

/// rustls shows this in its message.
impl fmt::Debug for AnotherServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Whether a certificate has this SPIFFE ID as its only URI, and no key that signs certificates (X.509-SVID, sections 2
/// and 5.2). What cannot be read is none.
fn is_svid_of(leaf: &[u8], id: &SpiffeId) -> bool {
    let Ok(certificate) = Certificate::from_der(leaf) else {
        return false;
    };
    let extensions = certificate.tbs_certificate.extensions.unwrap_or_default();
    let mut uris = 0_usize;
    let mut is_named = false;
    for extension in &extensions {
        let value = extension.extn_value.as_bytes();
        if extension.extn_id == SubjectAltName::OID {
            // Names of other kinds are nobody's concern here, well formed or not.
            let Ok(names) = Vec::<AnyRef<'_>>::from_der(value) else {
                return false;
            };
            for name in names.iter().filter(|name| name.tag() == URI) {
                uris += 1;
                is_named |= name.value() == id.0.as_bytes();
            }
        }
        if extension.extn_id == KeyUsage::OID
            && !KeyUsage::from_der(value)
                .is_ok_and(|usage| !usage.key_cert_sign() && !usage.crl_sign())
        {
            return false;
        }
    }
    is_named && uris == 1
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, KeyUsagePurpose, SanType};

    use super::*;

    fn certificate(names: &[SanType], usages: &[KeyUsagePurpose]) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = names.to_vec();
        parameters.key_usages = usages.to_vec();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    #[test]
    fn an_svid_has_its_spiffe_id_as_its_only_uri_and_signs_no_certificates() {
        let id: SpiffeId = "spiffe://demo/service".parse().unwrap();
        let own = uri("spiffe://demo/service");
        let is_svid = |names: &[SanType], usages: &[KeyUsagePurpose]| {
            is_svid_of(&certificate(names, usages), &id)
        };
        assert!(is_svid(std::slice::from_ref(&own), &[]));
        assert!(is_svid(
            &[dns("service.demo"), own.clone()],
            &[KeyUsagePurpose::DigitalSignature]
        ));
        for names in [
            vec![],
            vec![dns("spiffe.demo")],
            vec![uri("spiffe://demo/service/")],
            vec![uri("spiffe://demo/Service")],
            vec![own.clone(), uri("spiffe://demo/other")],
            vec![own.clone(), own.clone()],
        ] {
            assert!(!is_svid(&names, &[]), "{names:?}");
        }
        for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
            let usages = [KeyUsagePurpose::DigitalSignature, usage];
            assert!(!is_svid(std::slice::from_ref(&own), &usages), "{usage:?}");
        }
        assert!(!is_svid_of(b"none", &id));
    }

    #[test]
    fn what_is_no_spiffe_id_is_refused() {
        for id in ["spiffe://demo/a", "spiffe://a.demo/ns/b/sa/C-d_e"] {
            assert!(id.parse::<SpiffeId>().is_ok(), "{id}");
        }
        for id in [
            "",
            "spiffe://",
            "spiffe://demo",
            "spiffe://demo/",
            "spiffe:///a",
            "spiffe://Demo/a",
            "https://demo/a",
            "spiffe://demo/a/../b",
            "spiffe://demo/a//b",
            "spiffe://demo/a%20",
            "spiffe://demo:80/a",
            "spiffe://u@demo/a",
        ] {
            assert!(id.parse::<SpiffeId>().is_err(), "{id}");
        }
    }
}
