//! Files of development credentials.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::DevError;

/// Reads a text file.
pub(super) fn read(path: &Path) -> Result<String, DevError> {
    fs::read_to_string(path).map_err(|error| failed("read", path, &error))
}

/// Makes a directory with those above it.
pub(super) fn make_directory(path: &Path) -> Result<(), DevError> {
    fs::create_dir_all(path).map_err(|error| failed("make the directory", path, &error))
}

/// Writes a file that everybody may read.
pub(super) fn write_public(path: &Path, text: &str) -> Result<(), DevError> {
    write(path, text, 0o644)
}

/// Writes a file that only its owner may read.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), DevError> {
    write(path, text, 0o600)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), DevError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.write_all(text.as_bytes())
        })
        .map_err(|error| failed("write", path, &error))
}

fn failed(action: &'static str, path: &Path, error: &std::io::Error) -> DevError {
    DevError::File {
        action,
        path: path.to_owned(),
        problem: error.to_string(),
    }
}
