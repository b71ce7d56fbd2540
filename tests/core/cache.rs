//! What the binding cache keeps of a connection, and for how long.

use tls_session_binding::cache::{BindingCache, CacheLimits, KnownBinding, SharedBindings};
use tls_session_binding::exporter::ExporterValue;
use tls_session_binding::limits::{KNOWN_CONNECTION_BYTES, MAX_CACHED_BYTES};
use tls_session_binding::verify::Presentation;

use crate::common::files;
use crate::common::recipe::Recipe;
use crate::common::scene::Scene;
use crate::common::verified::Request;

const LIMITS: CacheLimits = CacheLimits {
    connections: 2,
    tokens_per_connection: 2,
    max_binding_age: None,
};

/// A request on a connection of its own.
fn on_connection(number: u8, recipe: &Recipe) -> Request {
    let scene = Scene {
        exporter: [number; 32],
        ..Scene::default()
    };
    Request::of(&scene, recipe)
}

/// A proof for one request only.
fn per_request() -> Recipe {
    let mut recipe = Recipe::default();
    let jti = Some("\"once\"".to_owned());
    recipe.proof.claims.insert("jti".to_owned(), jti);
    recipe
}

/// Verifies a request and keeps it.
fn insert(cache: &mut BindingCache, request: &Request) {
    cache.insert(&request.verify(), request.situation.now);
}

/// Whether what it presents is known on its connection.
fn knows(cache: &BindingCache, request: &Request) -> bool {
    let presented = request.verify().presentation();
    let situation = &request.situation;
    cache
        .find(&presented, &situation.certificate, situation.now)
        .is_some()
}

#[test]
fn a_binding_goes_with_its_connection_and_with_no_other() {
    let [one, other] = [1, 2].map(|number| on_connection(number, &Recipe::default()));
    let mut cache = BindingCache::new(LIMITS);
    assert!(!knows(&cache, &one));
    insert(&mut cache, &one);
    assert!(knows(&cache, &one));
    assert!(!knows(&cache, &other));
    cache.purge(&other.connection.exporter);
    assert!(knows(&cache, &one));
    cache.purge(&one.connection.exporter);
    assert!(!knows(&cache, &one));
}

#[test]
fn what_is_known_counts_for_the_certificate_that_the_connection_shows() {
    let request = on_connection(1, &Recipe::default());
    let mut cache = BindingCache::new(LIMITS);
    insert(&mut cache, &request);
    let presented = request.verify().presentation();
    let thief = on_connection(
        1,
        &Recipe {
            client: Some("thief".to_owned()),
            ..Recipe::default()
        },
    );
    let find = |shown: &[u8]| {
        cache
            .find(&presented, shown, request.situation.now)
            .is_some()
    };
    assert!(find(&request.situation.certificate));
    assert!(!find(&thief.situation.certificate));
    assert!(!find(b""));

    // The later of two connections that show one exporter value is believed.
    insert(&mut cache, &thief);
    assert!(knows(&cache, &thief));
    assert!(!knows(&cache, &request));
    assert_eq!(cache.bindings(), 1);
}

#[test]
fn the_connection_that_came_first_goes_when_there_are_too_many_unless_it_was_used() {
    let requests = [1, 2, 3].map(|number| on_connection(number, &Recipe::default()));
    let known = |cache: &BindingCache| requests.each_ref().map(|request| knows(cache, request));
    let mut cache = BindingCache::new(LIMITS);
    for request in &requests {
        insert(&mut cache, request);
    }
    assert_eq!(known(&cache), [false, true, true]);
    assert_eq!(cache.evicted(), 1);

    let mut cache = BindingCache::new(LIMITS);
    insert(&mut cache, &requests[0]);
    insert(&mut cache, &requests[1]);
    assert!(knows(&cache, &requests[0]));
    insert(&mut cache, &requests[2]);
    assert_eq!(known(&cache), [true, false, true]);
}

#[test]
fn a_proof_for_one_request_is_not_kept_and_nothing_is_with_the_cache_off() {
    let (connection_level, per_request) = (
        on_connection(1, &Recipe::default()),
        on_connection(1, &per_request()),
    );
    let mut cache = BindingCache::new(LIMITS);
    insert(&mut cache, &per_request);
    assert_eq!(cache.bindings(), 0);
    insert(&mut cache, &connection_level);
    assert_eq!(cache.bindings(), 1);

    let mut off = BindingCache::new(CacheLimits {
        connections: 0,
        ..LIMITS
    });
    insert(&mut off, &connection_level);
    assert_eq!(off.bindings(), 0);
}

#[test]
fn shared_memory_takes_what_was_verified_for_the_presentation_that_was_looked_up_and_nothing_else()
{
    let requests = [0, 1].map(|user| Request::new("p256", "ES256", user));
    let [one, other] = requests.each_ref().map(Request::verify);
    let (now, certificate) = (
        requests[0].situation.now,
        &requests[0].connection.certificate,
    );
    let shared = SharedBindings::new(LIMITS, 1, 1).unwrap();
    let entry = shared.look_up(Vec::new(), one.presentation(), certificate);
    assert_eq!(entry.insert(&other, now), None);

    let value = entry.insert(&one, now).unwrap();
    let found = |presented| {
        let entry = shared.look_up(value.clone(), presented, certificate);
        entry.find(now).is_some()
    };
    assert!(found(one.presentation()));
    assert!(!found(other.presentation()));
}

/// Bytes that a connection with one binding of `length` presented bytes counts for.
fn counted(request: &Request, length: usize) -> usize {
    let der = request.situation.certificate.len();
    let spki = crate::common::der::spki_of(&files::read_pem("certificates/p256.pem")).len();
    KNOWN_CONNECTION_BYTES + der + spki + length
}

/// A cache that forgets for want of bytes only, and what stands for any binding in it.
fn roomy() -> (BindingCache, KnownBinding, Request) {
    let limits = CacheLimits {
        connections: 1000,
        ..LIMITS
    };
    let request = on_connection(0, &Recipe::default());
    let mut cache = BindingCache::new(limits);
    insert(&mut cache, &request);
    let situation = &request.situation;
    let presented = request.verify().presentation();
    let known = cache.find(&presented, &situation.certificate, situation.now);
    let known = known.map(|(known, _)| known);
    cache.purge(&request.connection.exporter);
    (cache, known.unwrap(), request)
}

fn presented<'a>(exporter: &'a ExporterValue, authorization: &'a [u8]) -> Presentation<'a> {
    Presentation {
        rule: 0,
        exporter,
        authorization,
        claims: None,
        proof: b"the proof",
    }
}

#[test]
fn what_was_verified_is_found_under_its_rule_and_counted_once() {
    let request = on_connection(1, &Recipe::default());
    let now = request.situation.now;
    let verified = request.verify();
    let mut cache = BindingCache::new(LIMITS);
    cache.insert(&verified, now);
    cache.insert(&verified, now);
    assert_eq!(cache.bindings(), 1);
    let presented = verified.presentation();
    let shown = &request.situation.certificate;
    assert!(cache.find(&presented, shown, now).is_some());
    let other = Presentation {
        rule: presented.rule + 1,
        ..presented
    };
    assert!(cache.find(&other, shown, now).is_none());
}

#[test]
fn bytes_are_bounded_on_both_sides_and_come_back_when_connections_go() {
    let (mut cache, known, request) = roomy();
    let certificate = &request.connection.certificate;
    let proof = presented(&request.connection.exporter, b"").proof.len();
    let exporters: Vec<_> = (0..32)
        .map(|number| ExporterValue::from_bytes([number; 32]))
        .collect();
    let share = MAX_CACHED_BYTES / exporters.len() - counted(&request, proof);
    for _ in 0..2 {
        for exporter in &exporters {
            // The same again takes no more, and what goes for want of a place takes nothing.
            for last in [0, 0, 1, 2] {
                let authorization = [vec![1; share / 2 - 1], vec![last]].concat();
                cache.restore(&presented(exporter, &authorization), certificate, known);
            }
        }
        assert_eq!(cache.bindings(), 2 * (exporters.len() - 1));
        for exporter in &exporters {
            cache.purge(exporter);
        }
        assert_eq!(cache.bindings(), 0);
    }
    for (length, bindings) in [(MAX_CACHED_BYTES, 1), (MAX_CACHED_BYTES + 1, 0)] {
        let authorization = vec![1; length - counted(&request, proof)];
        cache.restore(
            &presented(&exporters[0], &authorization),
            certificate,
            known,
        );
        assert_eq!(cache.bindings(), bindings);
        cache.purge(&exporters[0]);
    }
}

#[test]
fn a_connection_that_came_again_is_as_young_as_its_last_arrival() {
    let [again, other, third] = [1, 2, 3].map(|number| on_connection(number, &Recipe::default()));
    let mut cache = BindingCache::new(LIMITS);
    insert(&mut cache, &again);
    cache.purge(&again.connection.exporter);
    for request in [&other, &again, &third] {
        insert(&mut cache, request);
    }
    assert!(knows(&cache, &again));
    assert!(!knows(&cache, &other));
}

#[test]
fn a_slot_is_held_by_the_connection_that_wrote_it() {
    let request = on_connection(1, &Recipe::default());
    let now = request.situation.now;
    let verified = request.verify();
    let [even, odd] = [4, 5].map(|id| SharedBindings::new(LIMITS, 1, id).unwrap());
    assert_eq!([even.slot(), odd.slot()], [0, 1]);
    let certificate = &request.connection.certificate;
    let entry = even.look_up(Vec::new(), verified.presentation(), certificate);
    let value = entry.insert(&verified, now).unwrap();
    assert!(even.is_held(&value));
    assert!(!odd.is_held(&value));
    assert!(!even.is_held(&[]));
}
