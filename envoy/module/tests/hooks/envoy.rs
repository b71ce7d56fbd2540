//! A stand-in for Envoy: the callbacks that the module links against.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::ffi::c_void;
use std::sync::Mutex;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Buffer {
    pub pointer: *const u8,
    pub length: usize,
}

impl Buffer {
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            pointer: bytes.as_ptr(),
            length: bytes.len(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        if self.pointer.is_null() {
            return Vec::new();
        }
        // SAFETY: the module passes what lives during the call.
        unsafe { std::slice::from_raw_parts(self.pointer, self.length) }.to_vec()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

#[repr(C)]
#[derive(Debug, Default, PartialEq, Eq)]
pub struct IoResult {
    pub close: u32,
    pub bytes: u64,
    pub end_of_stream: bool,
}

/// Envoy's side of a connection.
#[derive(Default)]
pub struct Connection {
    pub id: u64,
    pub from_peer: RefCell<VecDeque<u8>>,
    pub to_peer: RefCell<VecDeque<u8>>,
    pub received: RefCell<Vec<u8>>,
    pub to_send: RefCell<Vec<u8>>,
    pub connected: Cell<u32>,
}

/// Envoy's side of a network filter.
#[derive(Default)]
pub struct NetworkFilter {
    pub id: u64,
    pub state: RefCell<HashMap<String, String>>,
    /// A key that another filter has set for good.
    pub read_only: Option<String>,
    pub closed: Cell<bool>,
}

/// Envoy's side of a stream.
#[derive(Default)]
pub struct Stream {
    pub connection: Cell<u64>,
    pub headers: RefCell<HashMap<String, String>>,
    pub continued: Cell<u32>,
    pub answered: Cell<u32>,
    /// What the answer tells a gRPC client.
    pub grpc_status: RefCell<Option<String>>,
    /// The module's filter, which an answer destroys.
    pub filter: Cell<Option<*const c_void>>,
    pub attributes: RefCell<HashMap<u32, u64>>,
}

/// Streams for which an event was scheduled, by address.
pub static SCHEDULED: Mutex<Vec<usize>> = Mutex::new(Vec::new());
/// What the module counted, by name.
pub static COUNTED: Mutex<Vec<(String, u64)>> = Mutex::new(Vec::new());

fn this<'a, T>(pointer: *mut c_void) -> &'a T {
    // SAFETY: the tests pass what outlives the module's use of it.
    unsafe { &*pointer.cast::<T>() }
}

pub fn pointer<T>(value: &T) -> *mut c_void {
    std::ptr::from_ref(value).cast_mut().cast()
}

macro_rules! callbacks {
    ($($name:ident($($parameter:ident: $kind:ty),*) $(-> $result:ty)? $body:block)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($parameter: $kind),*) $(-> $result)? $body
    )*};
}

callbacks! {
    envoy_dynamic_module_callback_log(level: u32, line: Buffer) {
        println!("log {level}: {}", line.text());
    }
    envoy_dynamic_module_callback_transport_socket_get_connection_id(
        socket: *mut c_void, id: *mut u64) -> bool {
        // SAFETY: the module passes a place for the id.
        unsafe { id.write(this::<Connection>(socket).id) };
        true
    }
    envoy_dynamic_module_callback_transport_socket_io_read(
        socket: *mut c_void, into: *mut u8, length: usize, read: *mut usize) -> u32 {
        let mut bytes = this::<Connection>(socket).from_peer.borrow_mut();
        let count = length.min(bytes.len());
        for (index, byte) in bytes.drain(..count).enumerate() {
            // SAFETY: the module passes a buffer of `length` bytes.
            unsafe { into.add(index).write(byte) };
        }
        // SAFETY: the module passes a place for the count.
        unsafe { read.write(count) };
        u32::from(count == 0)
    }
    envoy_dynamic_module_callback_transport_socket_io_write(
        socket: *mut c_void, from: *const u8, length: usize, written: *mut usize) -> u32 {
        let bytes = Buffer { pointer: from, length }.bytes();
        this::<Connection>(socket).to_peer.borrow_mut().extend(bytes);
        // SAFETY: the module passes a place for the count.
        unsafe { written.write(length) };
        0
    }
    envoy_dynamic_module_callback_transport_socket_read_buffer_add(
        socket: *mut c_void, data: *const u8, length: usize) {
        let bytes = Buffer { pointer: data, length }.bytes();
        this::<Connection>(socket).received.borrow_mut().extend(bytes);
    }
    envoy_dynamic_module_callback_transport_socket_write_buffer_get_slices(
        socket: *mut c_void, slices: *mut Buffer, count: *mut usize) {
        let bytes = this::<Connection>(socket).to_send.borrow();
        // SAFETY: the module passes a place with their number.
        let used = bytes.chunks(1000).take(unsafe { *count }).enumerate().map(|(index, chunk)| {
            // SAFETY: the module passes `count` places; the bytes live until they are drained.
            unsafe { slices.add(index).write(Buffer::of(chunk)) };
        }).count();
        // SAFETY: as above.
        unsafe { count.write(used) };
    }
    envoy_dynamic_module_callback_transport_socket_write_buffer_drain(
        socket: *mut c_void, length: usize) {
        this::<Connection>(socket).to_send.borrow_mut().drain(..length);
    }
    envoy_dynamic_module_callback_transport_socket_raise_event(socket: *mut c_void, event: u32) {
        assert_eq!(event, 2);
        let connected = &this::<Connection>(socket).connected;
        connected.set(connected.get() + 1);
    }
    envoy_dynamic_module_callback_transport_socket_should_drain_read_buffer(
        _socket: *mut c_void) -> bool {
        false
    }
    envoy_dynamic_module_callback_transport_socket_get_fd(_socket: *mut c_void) -> i32 {
        -1
    }
    envoy_dynamic_module_callback_transport_socket_set_is_readable(_socket: *mut c_void) {}

    envoy_dynamic_module_callback_network_filter_get_connection_id(filter: *mut c_void) -> u64 {
        this::<NetworkFilter>(filter).id
    }
    envoy_dynamic_module_callback_network_set_filter_state_bytes(
        filter: *mut c_void, key: Buffer, value: Buffer) -> bool {
        let filter = this::<NetworkFilter>(filter);
        if filter.read_only != Some(key.text()) {
            filter.state.borrow_mut().insert(key.text(), value.text());
        }
        // As Envoy says.
        true
    }
    envoy_dynamic_module_callback_network_get_filter_state_bytes(
        filter: *mut c_void, key: Buffer, value: *mut Buffer) -> bool {
        let state = this::<NetworkFilter>(filter).state.borrow();
        let found = state.get(&key.text());
        // SAFETY: the module passes a place; the value lives until another one takes its place.
        found.inspect(|found| unsafe { value.write(Buffer::of(found.as_bytes())) }).is_some()
    }
    envoy_dynamic_module_callback_network_filter_close(filter: *mut c_void, _kind: u32) {
        this::<NetworkFilter>(filter).closed.set(true);
    }
    envoy_dynamic_module_callback_network_filter_scheduler_new(filter: *mut c_void) -> *mut c_void {
        Box::into_raw(Box::new(filter as usize)).cast()
    }
    envoy_dynamic_module_callback_network_filter_scheduler_commit(
        scheduler: *mut c_void, _event: u64) {
        SCHEDULED.lock().unwrap().push(*this::<usize>(scheduler));
    }
    envoy_dynamic_module_callback_network_filter_scheduler_delete(scheduler: *mut c_void) {
        // SAFETY: made in `scheduler_new`, deleted once.
        drop(unsafe { Box::from_raw(scheduler.cast::<usize>()) });
    }
    envoy_dynamic_module_callback_network_filter_config_define_counter(
        _config: *mut c_void, name: Buffer, id: *mut usize) -> u32 {
        define(&name, id)
    }
    envoy_dynamic_module_callback_network_filter_config_define_gauge(
        _config: *mut c_void, name: Buffer, id: *mut usize) -> u32 {
        define(&name, id)
    }
    envoy_dynamic_module_callback_network_filter_config_increment_counter(
        _config: *mut c_void, id: usize, value: u64) -> u32 {
        COUNTED.lock().unwrap()[id].1 += value;
        0
    }
    envoy_dynamic_module_callback_network_filter_config_set_gauge(
        _config: *mut c_void, id: usize, value: u64) -> u32 {
        COUNTED.lock().unwrap()[id].1 = value;
        0
    }

    envoy_dynamic_module_callback_http_get_header(
        stream: *mut c_void, _map: u32, key: Buffer, value: *mut Buffer, index: usize,
        count: *mut usize) -> bool {
        let headers = this::<Stream>(stream).headers.borrow();
        let found = headers.get(&key.text()).filter(|_| index == 0);
        // SAFETY: the module passes both places; the value lives until a header is set.
        unsafe {
            count.write(usize::from(headers.contains_key(&key.text())));
            if let Some(found) = found {
                value.write(Buffer::of(found.as_bytes()));
            }
        }
        found.is_some()
    }
    envoy_dynamic_module_callback_http_filter_get_attribute_int(
        stream: *mut c_void, attribute: u32, value: *mut u64) -> bool {
        let known = this::<Stream>(stream).attributes.borrow().get(&attribute).copied();
        // SAFETY: the module passes a place for the number.
        known.inspect(|known| unsafe { value.write(*known) }).is_some()
    }
    envoy_dynamic_module_callback_http_set_filter_state_bytes(
        stream: *mut c_void, key: Buffer, value: Buffer) -> bool {
        this::<Stream>(stream).headers.borrow_mut().insert(key.text(), value.text());
        true
    }
    envoy_dynamic_module_callback_http_get_filter_state_bytes(
        _stream: *mut c_void, _key: Buffer, _value: *mut Buffer) -> bool {
        false
    }
    envoy_dynamic_module_callback_http_set_filter_state_value(
        stream: *mut c_void, key: Buffer, value: Buffer, _span: u32, _sharing: u32) -> bool {
        this::<Stream>(stream).headers.borrow_mut().insert(key.text(), value.text());
        true
    }
    envoy_dynamic_module_callback_http_get_headers_size(stream: *mut c_void, _map: u32) -> usize {
        this::<Stream>(stream).headers.borrow().len()
    }
    envoy_dynamic_module_callback_http_get_headers(
        stream: *mut c_void, _map: u32, lines: *mut Buffer) -> bool {
        for (index, (name, value)) in this::<Stream>(stream).headers.borrow().iter().enumerate() {
            // SAFETY: the module passes room for a name and a value of every line.
            unsafe {
                lines.add(2 * index).write(Buffer::of(name.as_bytes()));
                lines.add(2 * index + 1).write(Buffer::of(value.as_bytes()));
            }
        }
        true
    }
    envoy_dynamic_module_callback_http_filter_record_histogram_value(
        _stream: *mut c_void, _id: usize, _labels: *const Buffer, _count: usize,
        _value: u64) -> u32 {
        0
    }
    envoy_dynamic_module_callback_http_filter_config_define_histogram(
        _config: *mut c_void, name: Buffer, _labels: *const Buffer, _count: usize,
        id: *mut usize) -> u32 {
        define(&name, id)
    }
    envoy_dynamic_module_callback_http_set_header(
        stream: *mut c_void, _map: u32, key: Buffer, value: Buffer) -> bool {
        let mut headers = this::<Stream>(stream).headers.borrow_mut();
        if value.pointer.is_null() {
            headers.remove(&key.text());
        } else {
            headers.insert(key.text(), value.text());
        }
        true
    }
    envoy_dynamic_module_callback_http_send_response(
        stream: *mut c_void, status: u32, headers: *const [Buffer; 2], count: usize, _body: Buffer,
        _details: Buffer) {
        let stream = this::<Stream>(stream);
        stream.answered.set(status);
        // SAFETY: the module passes so many names with their values.
        let headers = unsafe { std::slice::from_raw_parts(headers, count) };
        let found = headers.iter().find(|[name, _]| name.text() == "grpc-status");
        *stream.grpc_status.borrow_mut() = found.map(|[_, value]| value.text());
        // Envoy 1.40 defers this. The module must not need it.
        if let Some(filter) = stream.filter.take() {
            crate::exports::http_destroy(filter);
        }
    }
    envoy_dynamic_module_callback_http_get_upstream_connection_id(stream: *mut c_void) -> u64 {
        this::<Stream>(stream).connection.get()
    }
    envoy_dynamic_module_callback_http_filter_continue_decoding(stream: *mut c_void) {
        let continued = &this::<Stream>(stream).continued;
        continued.set(continued.get() + 1);
    }
    envoy_dynamic_module_callback_http_filter_reset_stream(
        _stream: *mut c_void, _reason: u32, _details: Buffer) {}
    envoy_dynamic_module_callback_get_most_specific_route_config(
        _stream: *mut c_void) -> *const c_void {
        std::ptr::null()
    }
    envoy_dynamic_module_callback_http_filter_scheduler_new(stream: *mut c_void) -> *mut c_void {
        Box::into_raw(Box::new(stream as usize)).cast()
    }
    envoy_dynamic_module_callback_http_filter_scheduler_commit(
        scheduler: *mut c_void, _event: u64) {
        SCHEDULED.lock().unwrap().push(*this::<usize>(scheduler));
    }
    envoy_dynamic_module_callback_http_filter_scheduler_delete(scheduler: *mut c_void) {
        // SAFETY: made in `scheduler_new`, deleted once.
        drop(unsafe { Box::from_raw(scheduler.cast::<usize>()) });
    }
    envoy_dynamic_module_callback_http_filter_config_define_counter(
        _config: *mut c_void, name: Buffer, _labels: *const Buffer, _count: usize,
        id: *mut usize) -> u32 {
        define(&name, id)
    }
    envoy_dynamic_module_callback_http_filter_config_define_gauge(
        _config: *mut c_void, name: Buffer, _labels: *const Buffer, _count: usize,
        id: *mut usize) -> u32 {
        define(&name, id)
    }
    envoy_dynamic_module_callback_http_filter_config_increment_counter(
        _config: *mut c_void, id: usize, _labels: *const Buffer, _count: usize, value: u64) -> u32 {
        COUNTED.lock().unwrap()[id].1 += value;
        0
    }
    envoy_dynamic_module_callback_http_filter_config_set_gauge(
        _config: *mut c_void, id: usize, _labels: *const Buffer, _count: usize, value: u64) -> u32 {
        COUNTED.lock().unwrap()[id].1 = value;
        0
    }
}

fn define(name: &Buffer, id: *mut usize) -> u32 {
    let mut counted = COUNTED.lock().unwrap();
    let name = name.text();
    let known = counted.iter().position(|(one, _)| *one == name);
    // SAFETY: the module passes a place for the id.
    unsafe { id.write(known.unwrap_or(counted.len())) };
    if known.is_none() {
        counted.push((name, 0));
    }
    0
}
