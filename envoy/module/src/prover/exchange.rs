//! What the filter needs of its host.

/// Envoy's side of one attempt to send a request.
pub trait Exchange {
    /// Id of the connection that the latest attempt goes out on; `None` as long as it has none.
    fn connection_id(&self) -> Option<u64>;
    /// How many attempts have begun; `None` where nobody counts them.
    fn attempts(&self) -> Option<u64>;
    /// Shows all values of a request header.
    fn request_header(&self, name: &str, read: &mut dyn FnMut(&[&[u8]]));
    /// Shows all values of a response header.
    fn response_header(&self, name: &str, read: &mut dyn FnMut(&[&[u8]]));
    /// Sets a request header in place of all its values, or removes it.
    fn set_request_header(&self, name: &str, value: Option<&[u8]>);
    /// Answers in place of the other side: the whole request, all its attempts.
    fn answer(&self, status: u32, reason: &str);
    /// Ends this attempt alone; the router decides what becomes of the request.
    fn give_up(&self, reason: &str);
}

/// The value of a header that a request has once.
pub(super) fn only(exchange: &dyn Exchange, name: &str) -> Vec<u8> {
    let mut found = Vec::new();
    exchange.request_header(name, &mut |values| {
        found = values
            .first()
            .map(|value| value.to_vec())
            .unwrap_or_default();
    });
    found
}
