//! Figures, tables and the plot: in `target/bench` and, for the README, in `benches/results`.

pub mod figures;
pub mod plot;
pub mod tables;

use std::fs;

use tls_session_binding_e2e::{Result, root};

/// Writes a file of results to both places.
///
/// # Errors
/// When it cannot be written.
pub fn write(name: &str, text: &str) -> Result<()> {
    for directory in ["target/bench", "benches/results"] {
        let directory = root().join(directory);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(name), text)?;
    }
    Ok(())
}
