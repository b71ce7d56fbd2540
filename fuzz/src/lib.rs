//! Fuzz targets, each with the laws that must hold for every input.
//!
//! Under `cargo fuzz` a target is driven by libFuzzer; built as usual it is a program of its own that
//! mutates its seeds for as many seconds as it is told: `cargo run --release --bin proof -- 60`.
#![forbid(unsafe_code)]

pub mod driver;
pub mod seeds;
pub mod targets;

// The host in memory that the core's tests use.
#[allow(
    dead_code,
    reason = "shared with the tests of the core, which use more of it"
)]
#[path = "../../tests/common/judge.rs"]
pub(crate) mod judge;

#[path = "../../client/src/explain/host_map.rs"]
mod host_map;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use libfuzzer_sys;

/// The program of a target.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::targets::$name::run(input));

        #[cfg(not(fuzzing))]
        fn main() {
            $crate::driver::drive(stringify!($name), $crate::targets::$name::run);
        }
    };
}
