//! What each rule compared, in words: thumbprints, times and names. Of secrets, only whether they are equal.

use serde_json::Value;
use tls_session_binding::authorization::Credentials;
use tls_session_binding::certificate::ClientCertificate;
use tls_session_binding::config::Config;
use tls_session_binding::exporter::ExporterValue;
use tls_session_binding::public_key::PublicKey;
use tls_session_binding::rule::Rule as PolicyRule;

use super::rules::Rule;
use super::{Asked, Decoded};

/// Values of a client, as words, are cut here.
const MAX_SHOWN: usize = 200;

/// What can be read of a request. It never decides.
pub(super) struct Compared<'a> {
    asked: &'a Asked,
    policy: &'a PolicyRule,
    certificate: Option<ClientCertificate>,
    exporter: Option<ExporterValue>,
    token_hash: Option<String>,
    claims: Option<Value>,
    proof: Option<Decoded>,
}

impl<'a> Compared<'a> {
    pub(super) fn new(asked: &'a Asked, config: &'a Config, policy: &'a PolicyRule) -> Self {
        let values: Vec<&[u8]> = asked.authorization.iter().map(Vec::as_slice).collect();
        let token = match Credentials::parse(&values) {
            Ok(Credentials::Bearer { token, .. }) => Some(token),
            _ => None,
        };
        let own = token.and_then(|token| Decoded::of(token.as_str()));
        let proof = asked.proof.first();
        let proof = proof.and_then(|proof| std::str::from_utf8(proof).ok());
        let encoding = config.client_certificate.encoding;
        Self {
            asked,
            policy,
            certificate: ClientCertificate::parse(&asked.certificate, encoding).ok(),
            exporter: ExporterValue::parse(&asked.exporter, config.exporter.encoding).ok(),
            token_hash: token.map(|token| token.hash().to_base64url()),
            claims: asked.claims.clone().or(own.map(|own| own.payload)),
            proof: proof.and_then(Decoded::of),
        }
    }

    /// Whether the signature is not as long as those of the certificate's key: that is seen first.
    pub(super) fn has_wrong_length(&self) -> bool {
        let key = self.certificate.as_ref().and_then(|own| own.key().ok());
        let lengths = key.map(PublicKey::signature_bytes).zip(self.proof.as_ref());
        lengths.is_some_and(|(bytes, proof)| proof.signature_bytes != bytes)
    }

    pub(super) fn words(&self, rule: Rule) -> Option<String> {
        match rule {
            Rule::Target => Some(format!(
                "{} {}{}: rule {:?}",
                shown(&self.asked.method),
                shown(&self.asked.authority),
                shown(self.asked.path.split(|byte| *byte == b'?').next()?),
                self.policy.name
            )),
            Rule::Authorization => Some(count(self.asked.authorization.len(), "Authorization")),
            Rule::OneProof => Some(count(self.asked.proof.len(), "Session-Binding-Proof")),
            Rule::Confirmation => Some(match self.claim("cnf") {
                Some(cnf) => format!("cnf {}", cut(&cnf.to_string())),
                None => "no cnf".to_owned(),
            }),
            Rule::Expiry => Some(format!(
                "exp {}, clock {}",
                self.claim("exp")?,
                self.asked.now
            )),
            Rule::CertificateShown => Some(match &self.certificate {
                Some(certificate) => format!("thumbprint {}", thumbprint(certificate)),
                None => "none that can be read".to_owned(),
            }),
            Rule::Confirmed => Some(format!(
                "cnf.x5t#S256 {}, certificate {}",
                text(self.claim("cnf")?.get("x5t#S256")?)?,
                thumbprint(self.certificate.as_ref()?)
            )),
            Rule::CertificateValid => {
                let until = self.certificate.as_ref()?.not_after();
                Some(format!("notAfter {until}, clock {}", self.asked.now))
            }
            Rule::Algorithm => Some(format!(
                "alg {}, key {}",
                cut(self.proof.as_ref()?.header_text("alg")?),
                self.key()
            )),
            Rule::ProofCertificate => Some(format!(
                "proof {}, certificate {}",
                cut(self.proof.as_ref()?.header_text("x5t#S256")?),
                thumbprint(self.certificate.as_ref()?)
            )),
            Rule::Connection => Some(are_equal(
                self.proof_claim("ekm")?.as_str()? == self.exporter.as_ref()?.to_base64url(),
            )),
            Rule::Token => Some(are_equal(
                self.proof_claim("ath")?.as_str()? == self.token_hash.as_ref()?,
            )),
            Rule::Time => self.times(),
            Rule::Request => Some(self.request_claims()),
            Rule::Signature => Some(format!("key {}", self.key())),
            Rule::Replay => Some(match self.proof_claim("jti") {
                Some(_) => "one jti, and an empty memory".to_owned(),
                None => "no jti".to_owned(),
            }),
            Rule::Place
            | Rule::TokenThere
            | Rule::Claims
            | Rule::ProofThere
            | Rule::Exporter
            | Rule::Form => None,
        }
    }

    fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.as_ref()?.get(name)
    }

    fn proof_claim(&self, name: &str) -> Option<&Value> {
        self.proof.as_ref()?.payload.get(name)
    }

    fn key(&self) -> String {
        let key = self.certificate.as_ref().and_then(|own| own.key().ok());
        key.map_or("of a kind that is not supported".to_owned(), |key| {
            format!(
                "{:?}, signatures of {} bytes",
                key.kind(),
                key.signature_bytes()
            )
        })
    }

    fn times(&self) -> Option<String> {
        let rules = &self.policy.proof;
        let more = ["exp", "nbf"].map(|name| match self.proof_claim(name) {
            Some(value) => format!(", {name} {value}"),
            None => String::new(),
        });
        Some(format!(
            "iat {}{}, clock {}, at most {} s old, clocks differ by {} s at most",
            self.proof_claim("iat")?,
            more.concat(),
            self.asked.now,
            rules.max_proof_age,
            rules.clock_tolerance
        ))
    }

    fn request_claims(&self) -> String {
        let required = self.policy.proof.required_claims;
        let claim = |name: &str, required: bool| {
            let value = match self.proof_claim(name) {
                // An id may be a secret of its client.
                Some(_) if name == "jti" => "there".to_owned(),
                Some(value) => cut(&value.to_string()),
                None => "absent".to_owned(),
            };
            format!(
                "{name} {value}{}",
                if required { " (required)" } else { "" }
            )
        };
        [
            claim("htm", required.method),
            claim("htu", required.target_uri),
            claim("jti", required.jti),
        ]
        .join(", ")
    }
}

fn are_equal(equal: bool) -> String {
    if equal { "equal" } else { "they differ" }.to_owned()
}

fn thumbprint(certificate: &ClientCertificate) -> String {
    certificate.thumbprint().to_base64url()
}

fn count(number: usize, name: &str) -> String {
    format!("{number} of {name}")
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(cut)
}

fn shown(bytes: &[u8]) -> String {
    cut(&String::from_utf8_lossy(bytes))
}

/// Without what a terminal acts on, and not for ever.
fn cut(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(MAX_SHOWN).collect()
}
