//! Measures the filter and the native module in a real Envoy: one worker on one core, the load on the
//! other, listener by listener in turn. `benches/README.md` says how to read the figures.
#![forbid(unsafe_code)]

pub mod bootstrap;
pub mod configure;
pub mod filters;
pub mod latency;
pub mod load;
pub mod machine;
pub mod presenting;
pub mod proxy;
pub mod report;
pub mod scale;
pub mod sidecars;
pub mod statistics;
pub mod tls;
