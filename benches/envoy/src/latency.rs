//! How long answers take at half of the peak load.

use std::time::Duration;

use tls_session_binding_e2e::Result;

use crate::load::lanes::Lanes;
use crate::statistics::{median, micros, quantile};

/// Requests per turn.
const REQUESTS: u32 = 3000;

/// Microseconds from when a request was due to its answer.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Half of the requests take no longer.
    pub p50: f64,
    /// 99 of 100 requests take no longer.
    pub p99: f64,
}

/// Time between requests at half of the load that keeps a worker busy, given its microseconds per
/// request.
#[must_use]
pub fn half_of_peak(time_per_request: f64) -> Duration {
    Duration::from_secs_f64(time_per_request * 2.0 / 1e6)
}

/// Sends one turn of requests, one every `interval`.
///
/// # Errors
/// When a request does not get the expected answer.
pub fn measure(lanes: &mut Lanes, interval: Duration) -> Result<Latency> {
    let latencies: Vec<f64> = lanes
        .run_paced(REQUESTS, interval)?
        .into_iter()
        .map(micros)
        .collect();
    Ok(Latency {
        p50: median(&latencies),
        p99: quantile(&latencies, 99, 100),
    })
}

/// Measures several listeners in turn, `rounds` times.
///
/// # Errors
/// As [`measure`].
pub fn in_turn<const N: usize>(
    lanes: [&mut Lanes; N],
    interval: Duration,
    rounds: usize,
) -> Result<[Vec<Latency>; N]> {
    let mut latencies = [const { Vec::new() }; N];
    let mut lanes = lanes;
    for _ in 0..rounds {
        for (lanes, latencies) in lanes.iter_mut().zip(&mut latencies) {
            latencies.push(measure(lanes, interval)?);
        }
    }
    Ok(latencies)
}
