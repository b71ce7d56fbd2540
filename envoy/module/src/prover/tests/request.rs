//! A request without Envoy.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use super::{Exchange, HEADER};

/// A request on its way, as the test wants it.
#[derive(Default)]
pub(super) struct Request {
    pub(super) connection: Cell<Option<u64>>,
    pub(super) headers: RefCell<HashMap<String, Vec<Vec<u8>>>>,
    pub(super) response: RefCell<HashMap<String, Vec<Vec<u8>>>>,
    pub(super) attempts: Cell<Option<u64>>,
    pub(super) answered: Cell<Option<u32>>,
    pub(super) given_up: Cell<bool>,
}

impl Request {
    pub(super) fn on(connection: Option<u64>, headers: &[(&str, &str)]) -> Self {
        let request = Self::default();
        request.connection.set(connection);
        let target = [
            (":method", "GET"),
            (":authority", "Service.demo:443"),
            (":path", "/a?b=c"),
        ];
        for (name, value) in target.iter().chain(headers) {
            let mut map = request.headers.borrow_mut();
            map.entry((*name).to_owned())
                .or_default()
                .push(value.as_bytes().to_vec());
        }
        request
    }

    /// The other side refuses the request.
    pub(super) fn challenge(&self, challenge: &str) {
        let value = vec![challenge.as_bytes().to_vec()];
        let mut response = self.response.borrow_mut();
        response.insert("www-authenticate".to_owned(), value);
    }

    pub(super) fn proof(&self) -> Option<String> {
        let headers = self.headers.borrow();
        let values = headers.get(HEADER)?;
        assert_eq!(values.len(), 1);
        String::from_utf8(values[0].clone()).ok()
    }
}

impl Exchange for Request {
    fn connection_id(&self) -> Option<u64> {
        self.connection.get()
    }

    fn attempts(&self) -> Option<u64> {
        self.attempts.get()
    }

    fn request_header(&self, name: &str, read: &mut dyn FnMut(&[&[u8]])) {
        show(&self.headers, name, read);
    }

    fn response_header(&self, name: &str, read: &mut dyn FnMut(&[&[u8]])) {
        show(&self.response, name, read);
    }

    fn set_request_header(&self, name: &str, value: Option<&[u8]>) {
        let mut headers = self.headers.borrow_mut();
        match value {
            Some(value) => headers.insert(name.to_owned(), vec![value.to_vec()]),
            None => headers.remove(name),
        };
    }

    fn answer(&self, status: u32, _reason: &str) {
        self.answered.set(Some(status));
    }

    fn give_up(&self, _reason: &str) {
        self.given_up.set(true);
    }
}

fn show(
    headers: &RefCell<HashMap<String, Vec<Vec<u8>>>>,
    name: &str,
    read: &mut dyn FnMut(&[&[u8]]),
) {
    let headers = headers.borrow();
    let values = headers.get(name).map(Vec::as_slice).unwrap_or_default();
    read(&values.iter().map(Vec::as_slice).collect::<Vec<_>>());
}
