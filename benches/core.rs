//! What the core costs natively: parsing, verification by each algorithm, the cache.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a benchmark that fails may panic"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tls_session_binding::cache::{BindingCache, CacheLimits};
use tls_session_binding::certificate::ClientCertificate;
use tls_session_binding::proof::UntrustedProof;
use tls_session_binding::verify::VerifiedBinding;

#[path = "../tests/common/mod.rs"]
mod common;

use common::verified::Request;

/// Each algorithm with a client whose key fits it.
const ALGORITHMS: [(&str, &str); 6] = [
    ("ES256", "p256"),
    ("ES384", "p384"),
    ("EdDSA", "ed25519"),
    ("RS256", "rsa-2048"),
    ("PS256", "rsa-2048"),
    ("PS256", "rsa-4096"),
];

const LIMITS: CacheLimits = CacheLimits {
    connections: 100,
    tokens_per_connection: 64,
    max_binding_age: None,
};

fn parse(criterion: &mut Criterion) {
    let request = Request::new("p256", "ES256", 0);
    let certificate = &request.situation.certificate;
    let encoding = request.config.client_certificate.encoding;
    criterion.bench_function("parse/proof", |bencher| {
        bencher.iter(|| UntrustedProof::parse(black_box(request.proof())).unwrap());
    });
    criterion.bench_function("parse/client certificate", |bencher| {
        bencher.iter(|| ClientCertificate::parse(black_box(certificate), encoding).unwrap());
    });
}

fn verify(criterion: &mut Criterion) {
    for (algorithm, client) in ALGORITHMS {
        let request = Request::new(client, algorithm, 0);
        criterion.bench_function(&format!("verify/{algorithm} {client}"), |bencher| {
            bencher.iter(|| drop(black_box(request.verify())));
        });
    }
}

fn cache(criterion: &mut Criterion) {
    let requests: Vec<Request> = (0..=50)
        .map(|user| Request::new("p256", "ES256", user))
        .collect();
    let verified: Vec<VerifiedBinding<'_>> = requests.iter().map(Request::verify).collect();
    let shown = &requests[0].situation.certificate;
    let unknown = verified[50].presentation();
    let now = requests[0].situation.now;
    for tokens in [1, 50] {
        let mut cache = BindingCache::new(LIMITS);
        for binding in &verified[..tokens] {
            cache.insert(binding, now);
        }
        let last = verified[tokens - 1].presentation();
        criterion.bench_function(&format!("cache/hit, {tokens} tokens"), |bencher| {
            bencher.iter(|| cache.find(black_box(&last), shown, now).unwrap());
        });
        criterion.bench_function(&format!("cache/miss, {tokens} tokens"), |bencher| {
            bencher.iter(|| cache.find(black_box(&unknown), shown, now));
        });
    }
    let mut cache = BindingCache::new(LIMITS);
    let mut next = verified.iter().cycle();
    criterion.bench_function("cache/insert, 50 tokens", |bencher| {
        bencher.iter(|| cache.insert(next.next().unwrap(), now));
    });
}

criterion_group!(benches, parse, verify, cache);
criterion_main!(benches);
