//! Every host call, with the SDK's byte-wise functions only: its convenient getters panic on a byte that
//! is not UTF-8 or on an unexpected status, and a panic ends the VM for every request on the worker.

use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{LogLevel, MapType, MetricType, Status};

use crate::challenge::Challenge;
use crate::error::HostFault;
use crate::host_map::Property;

use super::protobuf;

/// Logs one line. Never pass bytes of a request.
pub(super) fn log(level: LogLevel, message: &str) {
    // Nothing is left to do when even the log fails.
    let _ = hostcalls::log(level, message);
}

/// Logs one line at error level.
pub(super) fn log_error(message: &str) {
    log(LogLevel::Error, message);
}

/// The configuration of this plugin.
pub(super) fn plugin_configuration() -> Vec<u8> {
    use proxy_wasm::types::BufferType::PluginConfiguration;
    hostcalls::get_buffer(PluginConfiguration, 0, usize::MAX)
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// A block of a request's header lines.
#[derive(Clone, Copy)]
pub(super) enum Block {
    Headers,
    Trailers,
}

impl Block {
    const fn map(self) -> MapType {
        match self {
            Self::Headers => MapType::HttpRequestHeaders,
            Self::Trailers => MapType::HttpRequestTrailers,
        }
    }
}

/// All lines of a block, names in lower case, every line of a repeated header an entry of its own.
pub(super) fn request_lines(block: Block) -> Result<Vec<(String, Vec<u8>)>, HostFault> {
    hostcalls::get_map_bytes(block.map()).map_err(|_| HostFault::RequestUnreadable)
}

/// Removes every line of one name.
pub(super) fn remove_request_line(block: Block, name: &str) -> Result<(), HostFault> {
    hostcalls::remove_map_value(block.map(), name).map_err(|_| HostFault::RequestUnreadable)
}

/// Adds a request header.
pub(super) fn add_request_header(name: &str, value: &str) -> Result<(), HostFault> {
    hostcalls::add_map_value(MapType::HttpRequestHeaders, name, value)
        .map_err(|_| HostFault::RequestUnreadable)
}

/// Ends the request with a response of this filter's.
pub(super) fn respond(challenge: &Challenge) {
    let mut headers = vec![("content-type", "text/plain")];
    if let Some(value) = &challenge.www_authenticate {
        headers.push(("www-authenticate", value));
    }
    let body = Some(challenge.body.as_bytes());
    if hostcalls::send_http_response(challenge.status, headers, body).is_err() {
        log_error("session binding: the host did not take the response");
    }
}

/// A property. The host does not tell an empty one from an absent one, and has no bytes for some maps.
pub(super) fn property(path: Vec<&str>) -> Property {
    match hostcalls::get_property(path) {
        Ok(None) => Property::Absent,
        Ok(Some(bytes)) => Property::Bytes(bytes),
        Err(_) => Property::Unreadable,
    }
}

/// Publishes a value as filter state `wasm.<name>`.
pub(super) fn set_filter_state(name: &str, value: &[u8]) {
    // Access logs go without it; the decision stands.
    let _ = hostcalls::set_property(vec![name], Some(value));
}

/// How long filter state lasts.
#[derive(Clone, Copy)]
pub(super) enum LifeSpan {
    /// As long as the request, through redirects.
    Request = 1,
    /// As long as the downstream connection.
    Connection = 2,
}

/// Has the filter state `wasm.<name>` last longer than one pass through the filters.
pub(super) fn declare_state(name: &str, span: LifeSpan) {
    const NAME: u8 = 1;
    const LIFE_SPAN: u8 = 5;
    let mut argument = Vec::new();
    protobuf::push_bytes(&mut argument, NAME, name.as_bytes());
    protobuf::push_enum(&mut argument, LIFE_SPAN, span as u8);
    // Access logs and redirects go without it; decisions stand.
    let _ = call_foreign_function("declare_property", &argument);
}

/// Number of the downstream connection, unique in the process.
pub(super) fn connection_id() -> Result<u64, HostFault> {
    let Property::Bytes(bytes) = property(vec!["connection", "id"]) else {
        return Err(HostFault::RequestUnreadable);
    };
    let bytes = bytes.try_into().map_err(|_| HostFault::RequestUnreadable)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Has the plugin's `on_tick` called again and again.
pub(super) fn tick_every(period: Duration) {
    // Never an error: a host that refuses makes the SDK panic, and so does not start the plugin.
    let _ = hostcalls::set_tick_period(period);
}

/// The wall clock, since 1970.
pub(super) fn now() -> Option<Duration> {
    let now = hostcalls::get_current_time().ok()?;
    now.duration_since(UNIX_EPOCH).ok()
}

/// A shared value and the number to swap it by; empty when there is none.
pub(super) fn shared_data(key: &str) -> (Vec<u8>, Option<u32>) {
    let (value, cas) = hostcalls::get_shared_data(key).unwrap_or_default();
    (value.unwrap_or_default(), cas)
}

/// Writes a shared value if nobody else has since it was read; whether it did. Without a number the key must
/// still be absent: the host writes unconditionally for 0, and this number only where there is nothing.
pub(super) fn swap_shared_data(key: &str, value: &[u8], cas: Option<u32>) -> bool {
    const ABSENT: u32 = u32::MAX;
    hostcalls::set_shared_data(key, Some(value), Some(cas.unwrap_or(ABSENT))).is_ok()
}

/// Calls a function that only some hosts have.
pub(super) fn call_foreign_function(name: &str, argument: &[u8]) -> Result<Vec<u8>, Status> {
    hostcalls::call_foreign_function(name, Some(argument)).map(Option::unwrap_or_default)
}

/// Defines a counter; `None` if the host has no metrics.
pub(super) fn define_counter(name: &str) -> Option<u32> {
    hostcalls::define_metric(MetricType::Counter, name).ok()
}

/// Defines a gauge; `None` if the host has no metrics.
pub(super) fn define_gauge(name: &str) -> Option<u32> {
    hostcalls::define_metric(MetricType::Gauge, name).ok()
}

/// Defines a histogram; `None` if the host has no metrics.
pub(super) fn define_histogram(name: &str) -> Option<u32> {
    hostcalls::define_metric(MetricType::Histogram, name).ok()
}

/// Sets a gauge, or adds a value to a histogram.
pub(super) fn record(metric: Option<u32>, value: u64) {
    if let Some(id) = metric {
        let _ = hostcalls::record_metric(id, value);
    }
}

/// Adds to a counter or gauge.
pub(super) fn add(metric: Option<u32>, offset: i64) {
    if let (Some(id), true) = (metric, offset != 0) {
        let _ = hostcalls::increment_metric(id, offset);
    }
}
