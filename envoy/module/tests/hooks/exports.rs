//! The hooks that the module exports.

use std::ffi::{c_char, c_void};

use crate::envoy::{Buffer, IoResult};

macro_rules! hooks {
    ($($name:ident as $short:ident($($parameter:ident: $kind:ty),*) $(-> $result:ty)?;)*) => {
        unsafe extern "C" {
            $(pub fn $name($($parameter: $kind),*) $(-> $result)?;)*
        }
        $(
            /// The hook of this name.
            pub fn $short($($parameter: $kind),*) $(-> $result)? {
                // SAFETY: the tests pass what Envoy would.
                unsafe { $name($($parameter),*) }
            }
        )*
    };
}

hooks! {
    envoy_dynamic_module_on_program_init as program_init() -> *const c_char;
    envoy_dynamic_module_on_transport_socket_factory_config_new as socket_config_new(
        config: *mut c_void, name: Buffer, json: Buffer, upstream: bool) -> *const c_void;
    envoy_dynamic_module_on_transport_socket_factory_config_destroy as socket_config_destroy(
        config: *const c_void);
    envoy_dynamic_module_on_transport_socket_new as socket_new(
        config: *const c_void, socket: *mut c_void) -> *const c_void;
    envoy_dynamic_module_on_transport_socket_destroy as socket_destroy(socket: *const c_void);
    envoy_dynamic_module_on_transport_socket_on_connected as socket_connected(
        envoy: *mut c_void, socket: *const c_void);
    envoy_dynamic_module_on_transport_socket_do_read as socket_read(
        envoy: *mut c_void, socket: *const c_void) -> IoResult;
    envoy_dynamic_module_on_transport_socket_do_write as socket_write(
        envoy: *mut c_void, socket: *const c_void, end_of_stream: bool) -> IoResult;
    envoy_dynamic_module_on_transport_socket_close as socket_close(
        envoy: *mut c_void, socket: *const c_void, event: u32, abort: bool);
    envoy_dynamic_module_on_transport_socket_get_protocol as socket_protocol(
        envoy: *mut c_void, socket: *const c_void, result: *mut Buffer);
    envoy_dynamic_module_on_transport_socket_get_failure_reason as socket_failure(
        envoy: *mut c_void, socket: *const c_void, result: *mut Buffer);
    envoy_dynamic_module_on_transport_socket_can_flush_close as socket_can_flush(
        envoy: *mut c_void, socket: *const c_void) -> bool;
    envoy_dynamic_module_on_network_filter_config_new as network_config_new(
        config: *mut c_void, name: Buffer, json: Buffer) -> *const c_void;
    envoy_dynamic_module_on_network_filter_config_destroy as network_config_destroy(
        config: *const c_void);
    envoy_dynamic_module_on_network_filter_new as network_new(
        config: *const c_void, filter: *mut c_void) -> *const c_void;
    envoy_dynamic_module_on_network_filter_destroy as network_destroy(own: *const c_void);
    envoy_dynamic_module_on_network_filter_scheduled as network_scheduled(
        filter: *mut c_void, own: *const c_void, event: u64);
    envoy_dynamic_module_on_network_filter_event as network_event(
        envoy: *mut c_void, filter: *const c_void, event: u32);
    envoy_dynamic_module_on_http_filter_config_new as http_config_new(
        config: *mut c_void, name: Buffer, json: Buffer) -> *const c_void;
    envoy_dynamic_module_on_http_filter_config_destroy as http_config_destroy(
        config: *const c_void);
    envoy_dynamic_module_on_http_filter_new as http_new(
        config: *const c_void, stream: *mut c_void) -> *const c_void;
    envoy_dynamic_module_on_http_filter_destroy as http_destroy(filter: *const c_void);
    envoy_dynamic_module_on_http_filter_request_headers as http_request(
        envoy: *mut c_void, filter: *const c_void, end_of_stream: bool) -> u32;
    envoy_dynamic_module_on_http_filter_response_headers as http_response(
        envoy: *mut c_void, filter: *const c_void, end_of_stream: bool) -> u32;
    envoy_dynamic_module_on_http_filter_scheduled as http_scheduled(
        envoy: *mut c_void, filter: *const c_void, event: u64);
}
