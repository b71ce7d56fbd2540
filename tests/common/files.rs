//! The files under `tests/vectors`.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;

/// The file, from the root package's tests as from those of a package below it.
pub(crate) fn path(name: &str) -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let folders = above.map(|folder| folder.join("tests/vectors"));
    let vectors = folders.into_iter().find(|folder| folder.is_dir());
    vectors
        .unwrap_or_else(|| panic!("no tests/vectors"))
        .join(name)
}

pub(crate) fn read(name: &str) -> String {
    let path = path(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn read_json<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of the JSON files of a folder, sorted, relative to `tests/vectors`.
pub(crate) fn list(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(path(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|name| format!("{folder}/{name}"))
        .collect();
    names.sort();
    names
}

/// The bytes of a PEM file with one block.
pub(crate) fn read_pem(name: &str) -> Vec<u8> {
    let text = read(name);
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD
        .decode(body)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}
