mod request;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tls_session_binding::base64url;
use tls_session_binding_client::ExporterValue;
use tls_session_binding_client::exporter;

use super::*;
use crate::rotation::{self, Tenure};
use crate::testing::{Ends, handshake};
use crate::upstream::Upstream;
use crate::waiting::Parked;
use request::Request;

const TOKEN: &str = "Bearer token.one";

fn prover(config: &str) -> Prover {
    Prover::load(config.as_bytes()).unwrap()
}

/// Opens connection `id` and gives its exporter value.
fn connect(ends: &Ends, id: u64) -> ExporterValue {
    let (client, _) = handshake(&ends.client, &ends.server);
    let generation = ends.client.current().unwrap();
    let tenure = Tenure::new(rotation::generation(), u64::MAX);
    let connection = Upstream::of(&client, generation.signer(), tenure).unwrap();
    upstream::CONNECTIONS.remember(id, connection);
    exporter::of(&client).unwrap()
}

fn claims(proof: &str) -> serde_json::Value {
    let payload = proof.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64url::decode(payload.as_bytes()).unwrap()).unwrap()
}

/// One request with `headers` on connection `id`: what the other side gets as a proof.
fn send(prover: &Prover, id: u64, headers: &[(&str, &str)]) -> Option<String> {
    let request = Request::on(Some(id), headers);
    assert_eq!(
        prover.request(&request, &mut Attempt::default(), None),
        Step::Continue
    );
    request.proof()
}

fn refused(prover: &Prover, headers: &[(&str, &str)]) -> Option<u32> {
    let request = Request::on(Some(1), headers);
    request.set_request_header(HEADER, Some(b"forged"));
    assert_eq!(
        prover.request(&request, &mut Attempt::default(), None),
        Step::Answered
    );
    assert_eq!(request.proof(), None);
    request.answered.get()
}

#[test]
fn the_proof_is_made_once_for_each_token_on_each_connection() {
    let ends = Ends::new();
    let (prover, first, second) = (prover(""), connect(&ends, 1), connect(&ends, 2));
    let mut seen = HashSet::new();
    for _ in 0..3 {
        for token in ["Bearer a", "bearer b"] {
            for (id, exporter) in [(1, first), (2, second)] {
                let proof = send(&prover, id, &[("authorization", token)]).unwrap();
                assert_eq!(claims(&proof)["ekm"], exporter.to_base64url());
                seen.insert(proof);
            }
        }
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn a_proof_of_the_application_never_goes_on() {
    let ends = Ends::new();
    let (prover, _) = (prover(""), connect(&ends, 1));
    let forged = [(HEADER, "forged"), (HEADER, "forged too")];
    assert_eq!(send(&prover, 1, &forged), None);
    let with_token = [forged.as_slice(), &[("authorization", TOKEN)]].concat();
    assert_ne!(send(&prover, 1, &with_token).unwrap(), "forged");
}

#[test]
fn two_tokens_or_one_that_cannot_be_read_are_refused() {
    let prover = prover("");
    let two = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
    assert_eq!(refused(&prover, &two), Some(400));
    assert_eq!(
        refused(&prover, &[("authorization", "Bearer a,Bearer b")]),
        Some(400)
    );
    assert_eq!(
        refused(&prover, &[("authorization", "Bearer \u{e9}")]),
        Some(400)
    );
}

#[test]
fn what_has_no_token_passes_unproved_or_is_refused_as_configured() {
    for headers in [&[][..], &[("authorization", "Basic eDp5")][..]] {
        assert_eq!(send(&prover(""), 1, headers), None);
        assert_eq!(
            refused(&prover(r#"{"without_token": "refuse"}"#), headers),
            Some(403)
        );
    }
}

#[test]
fn no_proof_goes_to_a_target_that_is_not_on_the_list() {
    let ends = Ends::new();
    connect(&ends, 1);
    let token = [("authorization", TOKEN)];
    for (allow, admitted) in [
        (r#"{"hosts": ["service.demo"], "paths": ["/a"]}"#, true),
        (r#"{"hosts": ["other.demo"]}"#, false),
        (r#"{"paths": ["/b"]}"#, false),
        (r#"{"hosts": ["*.demo"], "paths": ["/b", "/a"]}"#, true),
    ] {
        let config = format!(r#"{{"allow": {allow}}}"#);
        assert_eq!(
            send(&prover(&config), 1, &token).is_some(),
            admitted,
            "{allow}"
        );
        if !admitted {
            let config = format!(r#"{{"allow": {allow}, "not_allowed": "refuse"}}"#);
            assert_eq!(refused(&prover(&config), &token), Some(403));
        }
    }
}

#[test]
fn a_request_waits_for_its_connection_and_is_refused_when_it_gets_none() {
    let ends = Ends::new();
    let prover = prover(r#"{"max_wait": "3s"}"#);
    let request = Request::on(None, &[("authorization", TOKEN)]);
    let mut attempt = Attempt::default();
    let Step::Wait { until } = prover.request(&request, &mut attempt, None) else {
        panic!()
    };
    let left = until.duration_since(Instant::now()).as_secs_f32();
    assert!((2.0..=3.0).contains(&left), "{left}");
    assert_eq!(prover.resume(&request, &mut attempt), Step::Answered);
    assert_eq!(request.answered.get(), Some(503));
    let exporter = connect(&ends, 1);
    request.connection.set(Some(1));
    assert_eq!(prover.resume(&request, &mut attempt), Step::Continue);
    assert_eq!(
        claims(&request.proof().unwrap())["ekm"],
        exporter.to_base64url()
    );
}

#[test]
fn a_connection_of_another_socket_cannot_be_proved_to() {
    assert_eq!(refused(&prover(""), &[("authorization", TOKEN)]), Some(503));
}

#[test]
fn claims_of_the_request_make_a_new_proof_each_time() {
    let ends = Ends::new();
    connect(&ends, 1);
    let prover = prover(r#"{"claims": ["htm", "htu", "jti"]}"#);
    let first = send(&prover, 1, &[("authorization", TOKEN)]).unwrap();
    let second = send(&prover, 1, &[("authorization", TOKEN)]).unwrap();
    assert_eq!(claims(&first)["htm"], "GET");
    assert_eq!(claims(&first)["htu"], "https://Service.demo:443/a");
    assert_ne!(claims(&first)["jti"], claims(&second)["jti"]);
}

#[test]
fn claims_of_the_route_come_before_those_of_the_filter() {
    let ends = Ends::new();
    connect(&ends, 1);
    let request = Request::on(Some(1), &[("authorization", TOKEN)]);
    let route = Claims {
        htm: true,
        ..Claims::default()
    };
    prover("").request(&request, &mut Attempt::default(), Some(route));
    let claims = claims(&request.proof().unwrap());
    assert_eq!(
        (claims.get("htm").is_some(), claims.get("htu").is_some()),
        (true, false)
    );
}

#[test]
fn a_refused_proof_is_not_sent_again_on_any_connection() {
    let ends = Ends::new();
    let prover = prover("");
    for id in [1, 2] {
        connect(&ends, id);
    }
    let token = [("authorization", TOKEN)];
    let other = send(&prover, 1, &[("authorization", "Bearer other")]);
    let request = Request::on(Some(1), &token);
    let mut attempt = Attempt::default();
    prover.request(&request, &mut attempt, None);
    let before = request.proof();
    let challenge = "Bearer error=\"invalid_proof\", mend=\"proof\", error_description=\"too old\"";
    request.challenge(challenge);
    prover.response(&request, &mut attempt);
    assert_ne!(send(&prover, 1, &token), before);
    assert_eq!(
        send(&prover, 1, &[("authorization", "Bearer other")]),
        other
    );
}

#[test]
fn an_attempt_that_waits_does_not_take_the_connection_of_a_later_one_for_its_own() {
    let ends = Ends::new();
    let prover = prover("");
    connect(&ends, 2);
    let request = Request::on(None, &[("authorization", TOKEN)]);
    let (mut first, mut second) = (Attempt::default(), Attempt::default());
    request.attempts.set(Some(1));
    let step = prover.request(&request, &mut first, None);
    assert!(matches!(step, Step::Wait { .. }), "{step:?}");
    // Envoy makes a second attempt, and tells both of its connection.
    request.attempts.set(Some(2));
    request.connection.set(Some(2));
    let step = prover.request(&request, &mut second, None);
    assert_eq!(step, Step::Continue);
    // It gives up alone: the other one lives.
    assert_eq!(prover.resume(&request, &mut first), Step::Answered);
    assert_eq!(
        (request.answered.get(), request.given_up.get()),
        (None, true)
    );
}

#[test]
fn an_attempt_that_waits_is_woken_by_a_later_one_and_gives_way_at_once() {
    /// The oldest of those that wait.
    struct Oldest(Arc<AtomicU32>);
    impl Parked for Oldest {
        fn is_ready(&self) -> bool {
            false
        }
        fn alarm(&self) {
            self.0.fetch_add(1, Relaxed);
        }
        fn resume(&self) {}
    }
    let (prover, alarms) = (prover(""), Arc::<AtomicU32>::default());
    let request = Request::on(None, &[("authorization", TOKEN)]);
    let (mut first, mut second) = (Attempt::default(), Attempt::default());
    request.attempts.set(Some(1));
    let step = prover.request(&request, &mut first, None);
    let Step::Wait { until } = step else {
        panic!("{step:?}")
    };
    let oldest = Box::new(Oldest(Arc::clone(&alarms)));
    let _place = waiting::park(prover.cluster, oldest, until);
    assert!(!first.is_ready(&request));
    assert_eq!(alarms.load(Relaxed), 0);
    // The later one waits as well: no connection is known, and the first will not learn of any.
    request.attempts.set(Some(2));
    let step = prover.request(&request, &mut second, None);
    assert!(matches!(step, Step::Wait { .. }), "{step:?}");
    assert_eq!(alarms.load(Relaxed), 1);
    assert!(first.is_ready(&request) && !second.is_ready(&request));
    assert_eq!(prover.resume(&request, &mut first), Step::Answered);
    assert_eq!(
        (request.answered.get(), request.given_up.get()),
        (None, true)
    );
}

#[test]
fn an_attempt_answers_only_where_no_other_one_has_begun() {
    let prover = prover("");
    for (attempts, answered) in [(None, Some(503)), (Some(1), Some(503)), (Some(2), None)] {
        let request = Request::on(None, &[("authorization", TOKEN)]);
        let mut attempt = Attempt::default();
        request.attempts.set(attempts);
        let step = prover.request(&request, &mut attempt, None);
        assert!(matches!(step, Step::Wait { .. }), "{step:?}");
        assert_eq!(prover.resume(&request, &mut attempt), Step::Answered);
        assert_eq!(request.answered.get(), answered, "{attempts:?}");
        assert_eq!(request.given_up.get(), answered.is_none(), "{attempts:?}");
    }
}

/// A request with a proof, sent on connection 1.
fn sent(prover: &Prover) -> (Request, Attempt) {
    let request = Request::on(Some(1), &[("authorization", TOKEN)]);
    let mut attempt = Attempt::default();
    prover.request(&request, &mut attempt, None);
    (request, attempt)
}

#[test]
fn a_proof_does_not_outlive_its_attempt() {
    let ends = Ends::new();
    let prover = prover("");
    connect(&ends, 1);
    let (request, mut attempt) = sent(&prover);
    assert!(request.proof().is_some());
    prover.response(&request, &mut attempt);
    assert_eq!(request.proof(), None);
}

#[test]
fn other_refusals_leave_the_proof_as_it_is() {
    let ends = Ends::new();
    let prover = prover("");
    connect(&ends, 1);
    for challenge in [
        "Bearer error=\"invalid_token\"",
        "Bearer error=\"invalid_proof\", mend=\"connection\"",
        "Bearer error=\"invalid_proof\", mend=\"none\", error_description=\"no certificate\"",
    ] {
        let (request, mut attempt) = sent(&prover);
        let before = request.proof();
        request.challenge(challenge);
        prover.response(&request, &mut attempt);
        let after = send(&prover, 1, &[("authorization", TOKEN)]);
        assert_eq!(after, before, "{challenge}");
    }
}

#[test]
fn a_connection_that_was_cut_off_is_known_when_its_response_seems_complete() {
    let ends = Ends::new();
    let prover = prover("");
    connect(&ends, 1);
    connect(&ends, 2);
    let cut_off = || upstream::CONNECTIONS.recall(1).unwrap().mark_truncated();
    let (request, sent) = sent(&prover);
    let unproven = Attempt::default();
    for attempt in [&unproven, &sent] {
        assert!(!prover.response_is_truncated(&request, attempt));
    }
    cut_off();
    for attempt in [&unproven, &sent] {
        assert!(prover.response_is_truncated(&request, attempt));
    }
    // With hedging, Envoy names the connection of the latest attempt.
    request.connection.set(Some(2));
    assert!(prover.response_is_truncated(&request, &sent));
}
