//! The time of day, to the second.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in seconds since the epoch. A clock before the epoch says the end of time: everything has ended.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(u64::MAX, |since| since.as_secs())
}
