//! Panics that a test asks for, to see what becomes of Envoy. No build that is shipped has this.

/// What a request names when it wants a panic.
const DEMAND: &[u8] = b"/panic-on-demand";

/// Panics if `bytes` ask for it.
pub(crate) fn panic_if_asked(bytes: &[u8]) {
    let asked = bytes.windows(DEMAND.len()).any(|part| part == DEMAND);
    assert!(!asked, "asked for");
}
