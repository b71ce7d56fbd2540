//! Functions that Envoy offers to a module, as its ABI declares them.

use std::ffi::c_void;

use super::types::{Buffer, Log};

unsafe extern "C" {
    pub(super) fn envoy_dynamic_module_callback_log(level: Log, message: Buffer);

    pub(super) fn envoy_dynamic_module_callback_transport_socket_get_connection_id(
        socket: *mut c_void,
        id: *mut u64,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_transport_socket_io_read(
        socket: *mut c_void,
        into: *mut u8,
        length: usize,
        read: *mut usize,
    ) -> u32;
    pub(super) fn envoy_dynamic_module_callback_transport_socket_io_write(
        socket: *mut c_void,
        from: *const u8,
        length: usize,
        written: *mut usize,
    ) -> u32;
    pub(super) fn envoy_dynamic_module_callback_transport_socket_read_buffer_add(
        socket: *mut c_void,
        data: *const u8,
        length: usize,
    );
    pub(super) fn envoy_dynamic_module_callback_transport_socket_write_buffer_get_slices(
        socket: *mut c_void,
        slices: *mut Buffer,
        count: *mut usize,
    );
    pub(super) fn envoy_dynamic_module_callback_transport_socket_write_buffer_drain(
        socket: *mut c_void,
        length: usize,
    );
    pub(super) fn envoy_dynamic_module_callback_transport_socket_raise_event(
        socket: *mut c_void,
        event: u32,
    );
    pub(super) fn envoy_dynamic_module_callback_transport_socket_should_drain_read_buffer(
        socket: *mut c_void,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_transport_socket_set_is_readable(
        socket: *mut c_void,
    );

    pub(super) fn envoy_dynamic_module_callback_network_filter_get_connection_id(
        filter: *mut c_void,
    ) -> u64;
    pub(super) fn envoy_dynamic_module_callback_network_set_filter_state_bytes(
        filter: *mut c_void,
        key: Buffer,
        value: Buffer,
    ) -> bool;
}
