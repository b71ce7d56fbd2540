//! The seam between a decision and whoever runs it: what a decision needs and a hit cannot afford to read
//! eagerly. No value may be one that a client can write (EKM-5).

use crate::error::HostFault;
use crate::host_map::Property;

/// What a decision asks of its host, each at most once a request.
pub trait Host {
    /// The wall clock, in nanoseconds since 1970.
    ///
    /// # Errors
    /// [`HostFault::RequestUnreadable`].
    fn now(&self) -> Result<u64, HostFault>;

    /// The exporter value of the request's connection, as the configuration says it is written.
    fn exporter(&self) -> Option<Vec<u8>>;

    /// The client certificate of the request's connection, as the configuration says it is written.
    fn certificate(&self) -> Option<Vec<u8>>;

    /// What another filter verified of the token: all members at the configured property, or one of them.
    fn claims(&self, member: Option<&str>) -> Property;

    /// Number of the connection, unique in the process.
    ///
    /// # Errors
    /// [`HostFault::RequestUnreadable`].
    fn connection_id(&self) -> Result<u64, HostFault>;

    /// Whether bindings are shared with other workers, or outlive this one.
    fn shares_bindings(&self) -> bool;

    /// A value of the memory that is shared, and the number to swap it by; empty when there is none.
    fn shared(&self, key: &str) -> (Vec<u8>, Option<u32>);

    /// Writes a shared value if nobody else has since it was read; whether it did. Without a number the key
    /// must still be absent.
    fn swap_shared(&self, key: &str, value: &[u8], cas: Option<u32>) -> bool;

    /// The number that [`Self::carry`] kept for this very request before the host redirected it.
    fn carried(&self) -> Option<u64>;

    /// Keeps a number for as long as the request lasts, through redirects.
    fn carry(&self, number: u64);
}
