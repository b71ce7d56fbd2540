//! Functions that Envoy offers to a module, as its ABI declares them.

use std::ffi::c_void;

use super::types::{Buffer, Header};

unsafe extern "C" {
    pub(super) fn envoy_dynamic_module_callback_log(level: u32, message: Buffer);

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

    pub(super) fn envoy_dynamic_module_callback_transport_socket_get_fd(socket: *mut c_void)
    -> i32;

    pub(super) fn envoy_dynamic_module_callback_network_filter_get_connection_id(
        filter: *mut c_void,
    ) -> u64;
    pub(super) fn envoy_dynamic_module_callback_network_set_filter_state_bytes(
        filter: *mut c_void,
        key: Buffer,
        value: Buffer,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_network_get_filter_state_bytes(
        filter: *mut c_void,
        key: Buffer,
        value: *mut Buffer,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_network_filter_close(
        filter: *mut c_void,
        close_type: u32,
    );
    pub(super) fn envoy_dynamic_module_callback_network_filter_scheduler_new(
        filter: *mut c_void,
    ) -> *mut c_void;
    pub(super) fn envoy_dynamic_module_callback_network_filter_scheduler_commit(
        scheduler: *mut c_void,
        event: u64,
    );
    pub(super) fn envoy_dynamic_module_callback_network_filter_scheduler_delete(
        scheduler: *mut c_void,
    );
    pub(super) fn envoy_dynamic_module_callback_network_filter_config_define_counter(
        config: *mut c_void,
        name: Buffer,
        id: *mut usize,
    ) -> u32;
    pub(super) fn envoy_dynamic_module_callback_network_filter_config_define_gauge(
        config: *mut c_void,
        name: Buffer,
        id: *mut usize,
    ) -> u32;
    pub(super) fn envoy_dynamic_module_callback_network_filter_config_increment_counter(
        config: *mut c_void,
        id: usize,
        value: u64,
    ) -> u32;
    pub(super) fn envoy_dynamic_module_callback_network_filter_config_set_gauge(
        config: *mut c_void,
        id: usize,
        value: u64,
    ) -> u32;

    pub(super) fn envoy_dynamic_module_callback_http_get_header(
        filter: *mut c_void,
        map: u32,
        key: Buffer,
        value: *mut Buffer,
        index: usize,
        count: *mut usize,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_http_set_header(
        filter: *mut c_void,
        map: u32,
        key: Buffer,
        value: Buffer,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_http_send_response(
        filter: *mut c_void,
        status: u32,
        headers: *const Header,
        headers_count: usize,
        body: Buffer,
        details: Buffer,
    );
    pub(super) fn envoy_dynamic_module_callback_http_get_upstream_connection_id(
        filter: *mut c_void,
    ) -> u64;
    pub(super) fn envoy_dynamic_module_callback_http_filter_get_attribute_int(
        filter: *mut c_void,
        attribute: u32,
        value: *mut u64,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_http_set_filter_state_bytes(
        filter: *mut c_void,
        key: Buffer,
        value: Buffer,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_http_get_filter_state_bytes(
        filter: *mut c_void,
        key: Buffer,
        value: *mut Buffer,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_http_set_filter_state_value(
        filter: *mut c_void,
        key: Buffer,
        value: Buffer,
        life_span: u32,
        stream_sharing: u32,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_http_get_headers_size(
        filter: *mut c_void,
        map: u32,
    ) -> usize;
    pub(super) fn envoy_dynamic_module_callback_http_get_headers(
        filter: *mut c_void,
        map: u32,
        headers: *mut Header,
    ) -> bool;
    pub(super) fn envoy_dynamic_module_callback_http_filter_record_histogram_value(
        filter: *mut c_void,
        id: usize,
        labels: *const Buffer,
        labels_count: usize,
        value: u64,
    ) -> u32;
    pub(super) fn envoy_dynamic_module_callback_http_filter_config_define_histogram(
        config: *mut c_void,
        name: Buffer,
        labels: *const Buffer,
        labels_count: usize,
        id: *mut usize,
    ) -> u32;
    pub(super) fn envoy_dynamic_module_callback_http_filter_continue_decoding(filter: *mut c_void);
    pub(super) fn envoy_dynamic_module_callback_http_filter_reset_stream(
        filter: *mut c_void,
        reason: u32,
        details: Buffer,
    );
    pub(super) fn envoy_dynamic_module_callback_get_most_specific_route_config(
        filter: *mut c_void,
    ) -> *const c_void;
    pub(super) fn envoy_dynamic_module_callback_http_filter_scheduler_new(
        filter: *mut c_void,
    ) -> *mut c_void;
    pub(super) fn envoy_dynamic_module_callback_http_filter_scheduler_commit(
        scheduler: *mut c_void,
        event: u64,
    );
    pub(super) fn envoy_dynamic_module_callback_http_filter_scheduler_delete(
        scheduler: *mut c_void,
    );
    pub(super) fn envoy_dynamic_module_callback_http_filter_config_define_counter(
        config: *mut c_void,
        name: Buffer,
        labels: *const Buffer,
        labels_count: usize,
        id: *mut usize,
    ) -> u32;
    pub(super) fn envoy_dynamic_module_callback_http_filter_config_define_gauge(
        config: *mut c_void,
        name: Buffer,
        labels: *const Buffer,
        labels_count: usize,
        id: *mut usize,
    ) -> u32;
    pub(super) fn envoy_dynamic_module_callback_http_filter_config_increment_counter(
        config: *mut c_void,
        id: usize,
        labels: *const Buffer,
        labels_count: usize,
        value: u64,
    ) -> u32;
    pub(super) fn envoy_dynamic_module_callback_http_filter_config_set_gauge(
        config: *mut c_void,
        id: usize,
        labels: *const Buffer,
        labels_count: usize,
        value: u64,
    ) -> u32;
}
