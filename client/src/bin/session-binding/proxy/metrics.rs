//! What the proxy counts, and how it is asked for it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::sync::watch;

use super::fault::Fault;
use super::forward::Proxy;
use super::listen::Listener;
use crate::unix_time;

/// Counters. Their labels are words of this program, never a client's.
pub(super) struct Metrics {
    requests: Mutex<BTreeMap<(u16, &'static str), u64>>,
    faults: Mutex<BTreeMap<&'static str, u64>>,
    connections: AtomicU64,
    under_way: watch::Sender<usize>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Mutex::default(),
            faults: Mutex::default(),
            connections: AtomicU64::default(),
            under_way: watch::Sender::new(0),
        }
    }
}

/// A request or tunnel that is not over.
pub(super) struct UnderWay(watch::Sender<usize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Metrics {
    pub(super) fn begin(&self) -> UnderWay {
        self.under_way.send_modify(|count| *count += 1);
        UnderWay(self.under_way.clone())
    }

    /// Counts an answer by the hundreds of its status.
    pub(super) fn end(&self, status: u16, proof: &'static str, fault: Option<&'static str>) {
        let count = |counts: &mut u64| *counts += 1;
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        count(requests.entry((status / 100, proof)).or_default());
        if let Some(fault) = fault {
            let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
            count(faults.entry(fault).or_default());
        }
    }

    /// The number of a new connection, from 1 on.
    pub(super) fn connection_opened(&self) -> u64 {
        self.connections.fetch_add(1, Relaxed) + 1
    }

    pub(super) async fn nothing_under_way(&self) {
        let mut count = self.under_way.subscribe();
        let _ = count.wait_for(|count| *count == 0).await;
    }

    fn text(&self, proxy: &Proxy) -> String {
        let mut text = String::new();
        let mut kind = |name: &str, kind: &str| {
            let _ = writeln!(text, "# TYPE session_binding_proxy_{name} {kind}");
        };
        kind("requests_total", "counter");
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for ((hundreds, proof), count) in requests.iter() {
            let _ = writeln!(
                text,
                "session_binding_proxy_requests_total{{status=\"{hundreds}xx\",proof=\"{proof}\"}} {count}"
            );
        }
        drop(requests);
        let _ = writeln!(text, "# TYPE session_binding_proxy_faults_total counter");
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        // All of them from the beginning: the first fault is then an increase.
        for fault in Fault::ALL.map(Fault::code) {
            let count = faults.get(fault).copied().unwrap_or_default();
            let _ = writeln!(
                text,
                "session_binding_proxy_faults_total{{fault=\"{fault}\"}} {count}"
            );
        }
        drop(faults);
        let under_way = *self.under_way.borrow();
        let figures = [
            (
                "connections_opened_total",
                "counter",
                self.connections.load(Relaxed),
            ),
            ("connections", "gauge", proxy.pool.size() as u64),
            ("requests_under_way", "gauge", under_way as u64),
            (
                "certificate_expires_at",
                "gauge",
                proxy.pool.certificate_expires_at(),
            ),
            (
                "files_refused",
                "gauge",
                u64::from(proxy.pool.problem().is_some()),
            ),
        ];
        for (name, kind, value) in figures {
            let _ = writeln!(text, "# TYPE session_binding_proxy_{name} {kind}");
            let _ = writeln!(text, "session_binding_proxy_{name} {value}");
        }
        text
    }
}

/// Answers `/metrics` and `/status`.
pub(super) async fn serve(listener: Listener, proxy: Arc<Proxy>) {
    loop {
        let Ok(stream) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let proxy = Arc::clone(&proxy);
        let service = service_fn(move |request| {
            let response = answer(&request, &proxy);
            async move { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(async move {
            let io = TokioIo::new(stream);
            let connection = http1::Builder::new()
                .keep_alive(false)
                .serve_connection(io, service);
            // A monitor asks and goes.
            let _ = tokio::time::timeout(std::time::Duration::from_secs(10), connection).await;
        });
    }
}

fn answer(request: &Request<Incoming>, proxy: &Proxy) -> Response<Full<Bytes>> {
    let (status, kind, body) = match request.uri().path() {
        "/metrics" => (
            StatusCode::OK,
            "text/plain; version=0.0.4",
            proxy.metrics.text(proxy),
        ),
        "/status" => {
            let expires = proxy.pool.certificate_expires_at();
            let is_valid = expires > unix_time();
            let body = json!({
                "ready": is_valid,
                "certificate_expires_at": expires,
                "files_refused": proxy.pool.problem(),
                "connections": proxy.pool.size(),
                "requests_under_way": *proxy.metrics.under_way.borrow(),
            });
            let status = if is_valid {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            (status, "application/json", body.to_string())
        }
        _ => (
            StatusCode::NOT_FOUND,
            "text/plain",
            "/metrics or /status\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static(kind);
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    response
}
