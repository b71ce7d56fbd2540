//! A filter that traps when a test wants it: the release artifact with one condition in front of the hook
//! for request headers. Nothing of it is in the product's source.

use crate::module::{Module, leb128, read_leb128};
use crate::{Error, Result};

const HOOK: &str = "proxy_on_request_headers";
const CODE_SECTION: u8 = 10;

/// Number of header lines, pseudo-headers included, from which the tampered filter traps.
pub const TRAP_AT: u8 = 42;

/// `if number_of_headers >= TRAP_AT { unreachable }`
const CONDITION: [u8; 9] = [0x20, 1, 0x41, TRAP_AT, 0x4f, 0x04, 0x40, 0x00, 0x0b];

/// The filter with the condition.
///
/// # Errors
/// When `filter` is no module with the hook.
pub fn with_trap(filter: &[u8]) -> Result<Vec<u8>> {
    let module = Module::read(filter)?;
    let hook = module
        .exports
        .get(HOOK)
        .ok_or("the filter has no hook for request headers")?;
    let slice = |range: std::ops::Range<usize>| filter.get(range).ok_or("out of bounds");
    let (_, count_bytes) = read_leb128(slice(module.code.clone())?)?;
    let mut code = slice(module.code.start..module.code.start + count_bytes)?.to_vec();
    for (index, function) in module.defined() {
        let mut body = function.bytes().to_vec();
        if index == *hook {
            let at = function.first_instruction()?;
            body.splice(at..at, CONDITION);
        }
        code.extend(leb128(body.len()));
        code.extend(body);
    }
    let header = section_header(filter, module.code.start, module.code.len())?;
    let mut tampered = slice(0..header)?.to_vec();
    tampered.push(CODE_SECTION);
    tampered.extend(leb128(code.len()));
    tampered.extend(code);
    tampered.extend_from_slice(slice(module.code.end..filter.len())?);
    Ok(tampered)
}

/// Where the section's id is, in front of the length in front of its contents. A length may be written
/// with more bytes than it needs.
fn section_header(filter: &[u8], contents: usize, length: usize) -> Result<usize> {
    (1..=5)
        .filter_map(|bytes| contents.checked_sub(bytes + 1))
        .find(|&at| {
            let written = filter
                .get(at + 1..contents)
                .and_then(|bytes| read_leb128(bytes).ok());
            filter.get(at) == Some(&CODE_SECTION) && written == Some((length, contents - at - 1))
        })
        .ok_or_else(|| Error::from("the code section has no header"))
}
