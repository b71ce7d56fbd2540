//! How long answers take at half of the peak load.

use std::time::{Duration, Instant};

use tls_session_binding_e2e::Result;

use crate::load::lanes::Lanes;
use crate::statistics::{median, micros, number, quantile};

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

/// Requests to find the peak load with.
const TO_THE_PEAK: usize = 4000;

/// Time between requests at half of the load that these connections reach when each sends the next
/// request as soon as the one before is answered.
fn half_of_peak(lanes: &mut Lanes) -> Result<Duration> {
    let begin = Instant::now();
    let each = TO_THE_PEAK / lanes.len();
    lanes.run(each)?;
    let requests = number(each * lanes.len());
    Ok(begin.elapsed().mul_f64(2.0 / requests))
}

/// Sends one turn of requests, one every `interval`.
fn measure(lanes: &mut Lanes, interval: Duration) -> Result<Latency> {
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

/// Measures several listeners in turn, `rounds` times, all at half of the peak of the slowest.
///
/// # Errors
/// When a request does not get the expected answer.
pub fn in_turn<const N: usize>(lanes: [&mut Lanes; N], rounds: usize) -> Result<[Vec<Latency>; N]> {
    let mut latencies = [const { Vec::new() }; N];
    let mut lanes = lanes;
    for _ in 0..rounds {
        let mut interval = Duration::ZERO;
        for lanes in &mut lanes {
            interval = interval.max(half_of_peak(lanes)?);
        }
        for (lanes, latencies) in lanes.iter_mut().zip(&mut latencies) {
            latencies.push(measure(lanes, interval)?);
        }
    }
    Ok(latencies)
}

/// The medians of a kind of chain's latency.
pub fn push_latency(medians: &mut Vec<(String, f64)>, name: &str, latency: &[Latency]) {
    let of = |part: fn(&Latency) -> f64| median(&latency.iter().map(part).collect::<Vec<_>>());
    medians.push((format!("p50_us.{name}"), of(|latency| latency.p50)));
    medians.push((format!("p99_us.{name}"), of(|latency| latency.p99)));
}
