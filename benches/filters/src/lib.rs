//! Home of the two comparison filters, see `examples/`: `empty` shows what any Wasm filter costs, and
//! `reader` what it costs to read the values that a remembered binding is looked up by.
#![forbid(unsafe_code)]
