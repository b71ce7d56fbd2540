//! `NumericDate` (RFC 7519 section 2) and claims that must not be mistaken for absent ones.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Largest accepted date, in seconds: the last second of the year 9999.
const MAX_SECONDS: u64 = 253_402_300_799;

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds; whole seconds are kept.
///
/// Fractions and exponents are accepted, as RFC 7519 allows them; negative dates, dates after the year
/// 9999 and anything but a number are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumericDate(u64);

impl NumericDate {
    /// The date in whole seconds, rounded down.
    #[must_use]
    pub const fn floor(self) -> u64 {
        self.0
    }

    /// Reads a number as the host writes it into a property: 64 bits of IEEE 754, the lowest byte first.
    #[must_use]
    pub fn from_host(bytes: &[u8]) -> Option<Self> {
        from_float(f64::from_le_bytes(bytes.try_into().ok()?))
    }
}

fn from_float(seconds: f64) -> Option<NumericDate> {
    #[expect(clippy::cast_precision_loss, reason = "MAX_SECONDS is below 2^53")]
    let in_range = (0.0..=MAX_SECONDS as f64).contains(&seconds);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in range"
    )]
    in_range.then_some(NumericDate(seconds as u64))
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumericDateVisitor)
    }
}

struct NumericDateVisitor;

impl Visitor<'_> for NumericDateVisitor {
    type Value = NumericDate;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number of seconds since 1970")
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<NumericDate, E> {
        if seconds > MAX_SECONDS {
            return Err(E::custom("out of range"));
        }
        Ok(NumericDate(seconds))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<NumericDate, E> {
        from_float(seconds).ok_or_else(|| E::custom("out of range"))
    }
}

/// For `#[serde(default, deserialize_with = "present")]`: an absent member is `None`, and a present one
/// must be a `T`. serde's own `Option` would take `null` for absent.
///
/// # Errors
/// As `T`'s.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
