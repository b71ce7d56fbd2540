//! Numbers from samples.

use std::time::Duration;

/// The middle one of the samples.
#[must_use]
pub fn median(samples: &[f64]) -> f64 {
    quantile(samples, 1, 2)
}

/// The sample with `numerator / denominator` of all before it.
#[must_use]
pub fn quantile(samples: &[f64], numerator: usize, denominator: usize) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = sorted.len() * numerator / denominator;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// In microseconds.
#[must_use]
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A count as a number to divide by.
#[must_use]
pub fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// The median of the ratios, round by round.
#[must_use]
pub fn median_ratio(one: &[f64], other: &[f64]) -> f64 {
    let ratios: Vec<f64> = one
        .iter()
        .zip(other)
        .map(|(one, other)| one / other)
        .collect();
    median(&ratios)
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
#[must_use]
pub fn whole(number: u64) -> f64 {
    number as f64
}
