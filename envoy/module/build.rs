//! How the module is linked.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return Ok(());
    }
    // A distroless image has no libgcc_s, which the standard library names for unwinding. The linker finds this
    // script first, and in it the static library.
    let directory = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::write(directory.join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
    println!("cargo:rustc-link-search=native={}", directory.display());
    // A thread of the module may hang in a file system when Envoy closes the module. Its code must stay.
    println!("cargo:rustc-link-arg=-Wl,-z,nodelete");
    Ok(())
}
