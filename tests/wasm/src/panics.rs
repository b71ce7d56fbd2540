//! Where the linked filter can panic: every call of one of Rust's panicking functions, by the source file
//! that the panic would name.

use std::collections::BTreeMap;
use std::path::Path;

use wasmparser::Operator;

use crate::Result;
use crate::module::Module;

/// What a panic looks like from outside: functions that do not return.
const PANICKING: &[&str] = &[
    "core::panicking::",
    "core::option::unwrap_failed",
    "core::option::expect_failed",
    "core::result::unwrap_failed",
    "core::slice::index::slice_",
    "core::slice::copy_from_slice_impl::len_mismatch_fail",
    "core::str::slice_error_fail",
    "core::cell::panic_already",
    "std::panicking::begin_panic",
    "std::rt::begin_panic",
];

/// The panics of an allocation that fails. Which of them a function calls says nothing: nearly every one
/// allocates, and there is one reason for all.
const ALLOCATION: &[&str] = &[
    "alloc::raw_vec::handle_error",
    "alloc::raw_vec::capacity_overflow",
    "alloc::alloc::handle_alloc_error",
];

/// What else ends a virtual machine, and explains an `unreachable` behind it.
const ENDING: &[&str] = &["abort", "rust_panic", "__wasi_proc_exit", "exit"];

/// The largest line number that is believed to be one.
const MAX_LINE: u32 = 100_000;

/// A kind of place that can panic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// The source file, such as `serde_json/src/read.rs`; the function where the panic names none.
    pub origin: String,
    /// The panicking function, or `unreachable`.
    pub panic: String,
}

/// Every place, with the lines of its file or, where it has none, nothing.
///
/// # Errors
/// When `filter` is no module, or has no names.
pub fn sites(filter: &[u8]) -> Result<BTreeMap<Site, Vec<u32>>> {
    let module = Module::read(filter)?;
    if module.names.is_empty() {
        return Err("the filter has no names: build it without stripping".into());
    }
    let mut sites = BTreeMap::<_, Vec<u32>>::new();
    for (index, function) in module.defined() {
        let name = module.name(index);
        if is_panicking(&name) {
            continue;
        }
        for (panic, source) in panics_of(&module, &function.instructions()?) {
            let (origin, line) = match source {
                Some((file, line)) => (file, Some(line)),
                None if is_one_of(ALLOCATION, &panic) => ("every allocation".to_owned(), None),
                None => (name.clone(), None),
            };
            let panic = if line.is_none() && is_one_of(ALLOCATION, &panic) {
                "fails".to_owned()
            } else {
                panic
            };
            sites
                .entry(Site { origin, panic })
                .or_default()
                .extend(line);
        }
    }
    for lines in sites.values_mut() {
        lines.sort_unstable();
        lines.dedup();
    }
    Ok(sites)
}

/// The panics of one function, each with file and line.
fn panics_of(module: &Module<'_>, body: &[Operator<'_>]) -> Vec<(String, Option<(String, u32)>)> {
    let mut panics = Vec::new();
    let mut constants = Vec::new();
    let mut explained = false;
    for operator in body {
        match operator {
            Operator::I32Const { value } => constants.push(*value),
            Operator::Call { function_index } => {
                let callee = module.name(*function_index);
                explained |= is_panicking(&callee) || is_one_of(ENDING, &callee);
                if is_panicking(&callee) {
                    let source = constants
                        .iter()
                        .rev()
                        .take(3)
                        .find_map(|&at| location(module, at));
                    panics.push((callee, source));
                }
                constants.clear();
            }
            Operator::Unreachable if !explained => panics.push(("unreachable".to_owned(), None)),
            _ => {}
        }
    }
    panics
}

fn is_panicking(name: &str) -> bool {
    is_one_of(PANICKING, name) || is_one_of(ALLOCATION, name)
}

fn is_one_of(parts: &[&str], name: &str) -> bool {
    parts.iter().any(|part| name.contains(part))
}

/// The `core::panic::Location` at an address: pointer and length of the file's name, line, column.
fn location(module: &Module<'_>, address: i32) -> Option<(String, u32)> {
    let words = module.memory(usize::try_from(address).ok()?, 16)?;
    let word = |index: usize| {
        let bytes = words.get(index * 4..index * 4 + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let (pointer, length, line) = (word(0)?, word(1)?, word(2)?);
    let file = module.memory(
        usize::try_from(pointer).ok()?,
        usize::try_from(length).ok()?,
    )?;
    let file = std::str::from_utf8(file).ok().filter(|file| {
        Path::new(file)
            .extension()
            .is_some_and(|ending| ending == "rs")
    })?;
    (1..=MAX_LINE)
        .contains(&line)
        .then(|| (shorten(file), line))
}

/// Without the directories of this machine, and the versions of dependencies.
fn shorten(file: &str) -> String {
    let Some((_, file)) = file.rsplit_once("/registry/src/") else {
        let library = file.rsplit_once("/library/").map(|(_, file)| file);
        return library.unwrap_or(file).to_owned();
    };
    let file = file.split_once('/').map_or(file, |(_, file)| file);
    let (package, path) = file.split_once('/').unwrap_or((file, ""));
    let is_version =
        |(_, version): &(&str, &str)| version.starts_with(|first: char| first.is_ascii_digit());
    let name = package
        .match_indices('-')
        .map(|(at, _)| package.split_at(at));
    let name = name
        .map(|(name, rest)| (name, rest.trim_start_matches('-')))
        .find(is_version);
    format!("{}/{path}", name.map_or(package, |(name, _)| name))
}
