//! Names the build: by the text of everything that decides what the filter does, so that equal sources give
//! equal builds wherever they lie.

use std::path::{Path, PathBuf};
use std::{fs, io};

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    gather(Path::new("src"), &mut files)?;
    files.sort();
    let others = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"].map(PathBuf::from);
    // A package that depends on this one has the lock file elsewhere.
    files.extend(others.into_iter().filter(|path| path.exists()));
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for path in &files {
        println!("cargo::rerun-if-changed={}", path.display());
        for byte in fs::read(path)? {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rustc-env=SESSION_BINDING_BUILD={hash:016x}");
    Ok(())
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
