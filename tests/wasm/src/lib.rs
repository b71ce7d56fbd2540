//! The linked filter, looked at and tampered with.
//!
//! | module | what it does |
//! |---|---|
//! | [`module`] | reads functions, names and calls of a Wasm module |
//! | [`panics`] | lists where the filter can panic |
//! | [`trap`] | makes of the filter one that traps when a test wants it |
#![forbid(unsafe_code)]

pub mod module;
pub mod panics;
pub mod trap;

/// Any failure, in words.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// A result.
pub type Result<T> = std::result::Result<T, Error>;
