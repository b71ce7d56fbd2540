//! Hooks that Envoy demands of every HTTP filter, and that this one has no use for.

use std::ffi::c_void;

use super::{Buffer, CONTINUE};

/// Hooks without effect; parameters that nobody reads are not declared in detail.
macro_rules! without_effect {
    ($($hook:ident($($parameter:ident: $kind:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $hook($($parameter: $kind),*) {}
    )*};
}

without_effect! {
    envoy_dynamic_module_on_http_filter_stream_complete(_filter: *mut c_void, _slot: *const c_void);
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(
        _filter: *mut c_void, _slot: *const c_void);
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(
        _filter: *mut c_void, _slot: *const c_void);
    envoy_dynamic_module_on_http_filter_http_callout_done(
        _filter: *mut c_void, _slot: *const c_void, _callout: u64, _result: u32,
        _headers: *const c_void, _count: usize, _body: *const c_void, _chunks: usize);
    envoy_dynamic_module_on_http_filter_http_stream_headers(
        _filter: *mut c_void, _slot: *const c_void, _stream: u64, _headers: *const c_void,
        _count: usize, _end_of_stream: bool);
    envoy_dynamic_module_on_http_filter_http_stream_data(
        _filter: *mut c_void, _slot: *const c_void, _stream: u64, _data: *const c_void,
        _count: usize, _end_of_stream: bool);
    envoy_dynamic_module_on_http_filter_http_stream_trailers(
        _filter: *mut c_void, _slot: *const c_void, _stream: u64, _trailers: *const c_void,
        _count: usize);
    envoy_dynamic_module_on_http_filter_http_stream_complete(
        _filter: *mut c_void, _slot: *const c_void, _stream: u64);
    envoy_dynamic_module_on_http_filter_http_stream_reset(
        _filter: *mut c_void, _slot: *const c_void, _stream: u64, _reason: u32);
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_body(
    _filter: *mut c_void,
    _slot: *const c_void,
    _end_of_stream: bool,
) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_trailers(
    _filter: *mut c_void,
    _slot: *const c_void,
) -> u32 {
    CONTINUE
}

/// Local replies go on as they are.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_local_reply(
    _filter: *mut c_void,
    _slot: *const c_void,
    _status: u32,
    _details: Buffer,
    _reset_imminent: bool,
) -> u32 {
    CONTINUE
}
