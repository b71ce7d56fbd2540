use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::json;
use tls_session_binding::base64url;
use tls_session_binding_client::proof::ProofBuilder;
use tls_session_binding_client::signer::Signer;
use tls_session_binding_client::{AccessToken, ExporterValue};

use super::*;
use crate::clock::now;
use crate::downstream::{CONNECTIONS, Downstream};
use crate::publish;
use crate::testing::{Ends, handshake};

#[derive(Default)]
struct Asked {
    connection: Option<u64>,
    headers: Vec<(String, Vec<u8>)>,
    trailers: Vec<(String, Vec<u8>)>,
    state: RefCell<HashMap<String, Vec<u8>>>,
    keeps_headers: bool,
    answered: Option<(u32, String)>,
}

impl Request for Asked {
    fn connection_id(&self) -> Option<u64> {
        self.connection
    }

    fn lines(&self, block: Block) -> Option<Lines<'_>> {
        let lines = match block {
            Block::Headers => &self.headers,
            Block::Trailers => &self.trailers,
        };
        Some(
            lines
                .iter()
                .map(|(name, value)| (name.as_str(), &value[..]))
                .collect(),
        )
    }

    fn remove(&mut self, block: Block, name: &str) -> bool {
        let lines = match block {
            Block::Headers => &mut self.headers,
            Block::Trailers => &mut self.trailers,
        };
        if !self.keeps_headers {
            lines.retain(|(own, _)| own != name);
        }
        !self.keeps_headers
    }

    fn set_header(&mut self, name: &str, value: &str) -> bool {
        self.headers.push((name.to_owned(), value.into()));
        true
    }

    fn filter_state(&self, key: &str) -> Option<Vec<u8>> {
        self.state.borrow().get(key).cloned()
    }

    fn set_filter_state(&self, key: &str, value: &[u8], _span: LifeSpan) {
        self.state
            .borrow_mut()
            .insert(key.to_owned(), value.to_vec());
    }

    fn record(&self, _histogram: usize, _value: u64) {}

    fn answer(&mut self, challenge: &Challenge, reason: &str) {
        self.answered = Some((challenge.status, reason.to_owned()));
    }
}

/// A client on a connection of its own, and what it presents there.
struct Client {
    id: u64,
    exporter: ExporterValue,
    token: String,
    proof: String,
    /// A proof that is good once.
    once: String,
}

impl Client {
    fn on(id: u64) -> Self {
        let ends = Ends::new();
        let (_, server) = handshake(&ends.client, &ends.server);
        let facts = Downstream::of(&server).unwrap();
        let exporter = facts.exporter;
        CONNECTIONS.remember(id, facts);
        let generation = ends.client.current().unwrap();
        let signer: &Signer = generation.signer().unwrap();
        let cnf = json!({
            "x5t#S256": signer.thumbprint().to_base64url(),
            "tls_exp": tls_session_binding::exporter::LABEL,
        });
        let part = |value: serde_json::Value| base64url::encode(value.to_string().as_bytes());
        let claims = json!({ "sub": "alice", "exp": now() + 60, "cnf": cnf });
        let token = format!("{}.{}.AA", part(json!({ "alg": "ES256" })), part(claims));
        let hash = AccessToken::parse(&token).unwrap().hash();
        let proof = || ProofBuilder::new(&hash, &exporter, now());
        let text = |proof: ProofBuilder| proof.sign(signer).unwrap().as_str().to_owned();
        Self {
            id,
            exporter,
            token,
            proof: text(proof()),
            once: text(proof().id("once")),
        }
    }

    fn ask(&self) -> Asked {
        let line = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        Asked {
            connection: Some(self.id),
            headers: vec![
                line(":method", "GET"),
                line(":authority", "service.demo"),
                line(":path", "/orders"),
                line("authorization", &format!("Bearer {}", self.token)),
                line("session-binding-proof", &self.proof),
            ],
            ..Asked::default()
        }
    }
}

fn filter(configuration: &str) -> Arc<Verify> {
    Arc::new(Verify::load(configuration.as_bytes()).unwrap())
}

fn judged(verify: &Arc<Verify>, mut asked: Asked) -> (bool, Asked) {
    let goes_on = verify.headers(&mut asked);
    assert_eq!(goes_on, asked.answered.is_none());
    (goes_on, asked)
}

#[test]
fn a_proof_of_this_connection_passes_without_its_proof_and_one_of_another_does_not() {
    let verify = filter(r#"{"verified_header": "x-binding"}"#);
    let (client, other) = (Client::on(100), Client::on(101));
    for _ in 0..2 {
        let mut asked = client.ask();
        asked
            .headers
            .push(("x_binding".to_owned(), b"forged".to_vec()));
        let (goes_on, asked) = judged(&verify, asked);
        assert!(goes_on, "{:?}", asked.answered);
        let names: Vec<_> = asked
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                ":method",
                ":authority",
                ":path",
                "authorization",
                "x-binding"
            ]
        );
        assert_eq!(asked.state.borrow()[VERDICT], b"session_bound");
    }
    let (goes_on, asked) = judged(
        &verify,
        Asked {
            connection: Some(other.id),
            ..client.ask()
        },
    );
    assert!(!goes_on);
    assert_eq!(asked.answered.unwrap().0, 401);
}

#[test]
fn no_filter_can_overwrite_what_the_module_knows_of_a_connection() {
    let verify = filter("{}");
    let (client, other) = (Client::on(110), Client::on(111));
    // What another filter says of the thief's connection is what the stolen proof wants.
    let mut asked = client.ask();
    asked.connection = Some(other.id);
    let forged = client.exporter.to_base64url();
    asked.set_filter_state(publish::EXPORTER, forged.as_bytes(), LifeSpan::Connection);
    assert!(!judged(&verify, asked).0);
    // A connection that the module does not know has nothing to show: the host's fault.
    let mut asked = client.ask();
    asked.connection = Some(112);
    asked.set_filter_state(publish::EXPORTER, forged.as_bytes(), LifeSpan::Connection);
    assert_eq!(judged(&verify, asked).1.answered.unwrap().0, 503);
}

#[test]
fn another_carriers_value_is_read_where_it_is_configured() {
    let verify = filter(r#"{"exporter": {"property": ["filter_state", "carrier"]}}"#);
    let client = Client::on(120);
    assert_eq!(judged(&verify, client.ask()).1.answered.unwrap().0, 503);
    let asked = client.ask();
    let exporter = client.exporter.to_base64url();
    asked.set_filter_state("carrier", exporter.as_bytes(), LifeSpan::Connection);
    assert!(judged(&verify, asked).0);
}

#[test]
fn claims_that_are_no_json_object_or_another_tokens_are_refused() {
    let verify = filter(r#"{"confirmation": {"property": ["filter_state", "claims"]}}"#);
    let client = Client::on(130);
    let own = client.token.split('.').nth(1).unwrap().as_bytes();
    let own = base64url::decode(own).unwrap();
    let mut others: serde_json::Value = serde_json::from_slice(&own).unwrap();
    others["sub"] = "mallory".into();
    for (claims, status) in [
        (own, None),
        (others.to_string().into_bytes(), Some(401)),
        (b"-".to_vec(), Some(401)),
        (b"null".to_vec(), Some(401)),
        (Vec::new(), Some(503)),
    ] {
        let asked = client.ask();
        asked.set_filter_state("claims", &claims, LifeSpan::Pass);
        let answered = judged(&verify, asked).1.answered;
        assert_eq!(
            answered.map(|(status, _)| status),
            status,
            "{}",
            String::from_utf8_lossy(&claims)
        );
    }
}

#[test]
fn a_connection_takes_what_is_known_of_it_along() {
    let verify = filter("{}");
    let (one, two) = (Client::on(140), Client::on(141));
    let held = || keep::with_state(&verify, |state| state.bindings());
    for client in [&one, &two, &one] {
        assert!(judged(&verify, client.ask()).0);
    }
    assert_eq!(held(), 2);
    purge(one.id);
    assert_eq!(held(), 1);
    purge(one.id);
    purge(999);
    assert_eq!(held(), 1);
    // Another configuration knows nothing of it, and a dropped one is forgotten.
    let next = filter("{}");
    assert_eq!(keep::with_state(&next, |state| state.bindings()), 0);
}

#[test]
fn a_jti_is_good_once_under_every_configuration() {
    let client = Client::on(150);
    let ask = |verify: &Arc<Verify>| {
        let mut asked = client.ask();
        asked.headers.pop();
        let proof = client.once.clone().into_bytes();
        asked
            .headers
            .push(("session-binding-proof".to_owned(), proof));
        judged(verify, asked).1.answered.map(|(_, reason)| reason)
    };
    assert_eq!(ask(&filter("{}")), None);
    assert_eq!(ask(&filter("{}")), Some("proof_replayed".to_owned()));
}

#[test]
fn a_request_whose_proof_cannot_be_taken_out_goes_nowhere() {
    let verify = filter("{}");
    let client = Client::on(160);
    let mut asked = client.ask();
    asked.keeps_headers = true;
    assert_eq!(judged(&verify, asked).1.answered.unwrap().0, 503);
    for keeps_headers in [false, true] {
        let mut asked = client.ask();
        asked.keeps_headers = keeps_headers;
        asked.trailers = vec![("session-binding-proof".to_owned(), b"x".to_vec())];
        assert_eq!(verify.trailers(&mut asked), !keeps_headers);
        assert_eq!(asked.trailers.is_empty(), !keeps_headers);
    }
}

#[test]
fn what_a_module_has_no_use_for_or_no_way_to_read_is_a_mistake() {
    for (configuration, mistake) in [
        (r#"{"role": "verify"}"#, "role: "),
        (r#"{"role": "purge"}"#, "role: "),
        (
            r#"{"exporter": {"property": ["connection", "id"]}}"#,
            "exporter.property: ",
        ),
        (
            r#"{"client_certificate": {"property": ["filter_state", "a", "b"]}}"#,
            "client_certificate.property: ",
        ),
        (
            r#"{"confirmation": {"property": ["metadata", "filter_metadata", "x"]}}"#,
            "confirmation.property: ",
        ),
        (r#"{"mode": "of no kind"}"#, "mode: "),
        ("", "the configuration is empty"),
    ] {
        let mistakes = Verify::load(configuration.as_bytes()).unwrap_err();
        assert!(mistakes.to_string().starts_with(mistake), "{mistakes}");
    }
}
