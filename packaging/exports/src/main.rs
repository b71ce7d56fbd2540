//! Leaves in the linked filter only the entry points that it uses: `exports FILTER.wasm`.
//!
//! The SDK defines every entry point of Proxy-Wasm, and the linker exports what is defined. The host
//! calls what is exported: on each request and each read of a connection it would enter the VM for
//! nothing.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{ExportSection, Module};
use wasmparser::{ExportSectionReader, Parser};

/// What the host needs of the filter, and nothing else.
const USED: [&str; 12] = [
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_downstream_connection_close",
    "proxy_on_memory_allocate",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

fn main() -> ExitCode {
    let done = match env::args().nth(1) {
        Some(path) => trim_file(path.as_ref()),
        None => Err("usage: exports FILTER.wasm".into()),
    };
    done.map_or_else(
        |error| {
            eprintln!("{error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Replaces a file, in one step: it may have another name, under which it stays as it is.
fn trim_file(path: &Path) -> Result<(), Box<dyn Error>> {
    let trimmed = trim(&fs::read(path)?)?;
    let next = path.with_extension("wasm.next");
    fs::write(&next, trimmed)?;
    Ok(fs::rename(next, path)?)
}

/// The module without the exports that are not used.
fn trim(module: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut trimmed = Module::new();
    let mut exports = Trim(BTreeSet::from(USED));
    exports.parse_core_module(&mut trimmed, Parser::new(0), module)?;
    if exports.0.is_empty() {
        Ok(trimmed.finish())
    } else {
        Err(format!("the filter does not export: {:?}", exports.0).into())
    }
}

/// Copies a module; holds what is not yet found of [`USED`].
struct Trim(BTreeSet<&'static str>);

impl Reencode for Trim {
    type Error = Infallible;

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        for export in section {
            let export = export?;
            if self.0.remove(export.name) {
                self.parse_export(exports, export)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{CodeSection, ExportKind, Function, FunctionSection, TypeSection};

    /// A module that exports one function under each of these names.
    fn exporting(names: &[&str]) -> Vec<u8> {
        let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
        let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
        types.ty().function([], []);
        functions.function(0);
        for name in names {
            exports.export(name, ExportKind::Func, 0);
        }
        let mut body = Function::new([]);
        body.instructions().end();
        code.function(&body);
        let mut module = Module::new();
        module
            .section(&types)
            .section(&functions)
            .section(&exports)
            .section(&code);
        module.finish()
    }

    #[test]
    fn what_is_used_stays_and_nothing_else_does() {
        let all = [&USED[..], &["proxy_on_log", "proxy_on_response_headers"]].concat();
        let trimmed = trim(&exporting(&all)).ok();
        assert_eq!(trimmed, Some(exporting(&USED)));
    }

    #[test]
    fn a_filter_that_lacks_what_is_used_is_refused() {
        let (_, others) = USED.split_last().unzip();
        let refused = trim(&exporting(others.unwrap_or(&[]))).map_err(|error| error.to_string());
        assert_eq!(
            refused,
            Err("the filter does not export: {\"proxy_on_vm_start\"}".to_owned())
        );
        assert!(trim(b"not a module").is_err());
    }
}
