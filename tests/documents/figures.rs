//! The figures in the benchmarks' README are those of the last run of `make bench`.

use std::{env, fs};

use super::{path, read};

const BEGIN: &str = "<!-- figures: from benches/results/table.md -->\n";
const END: &str = "<!-- end of figures -->";

/// Run with `UPDATE_DOCUMENTS=1` to write them.
#[test]
fn the_figures_are_those_that_were_measured() {
    let readme = read("benches/README.md");
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let measured = per_request();
    if env::var_os("UPDATE_DOCUMENTS").is_some() {
        let readme = [before, BEGIN, &measured, END, after].concat();
        fs::write(path("benches/README.md"), readme).unwrap();
    } else {
        assert_eq!(written, measured, "UPDATE_DOCUMENTS=1 writes them");
    }
}

/// The table of what each filter takes.
fn per_request() -> String {
    let tables = read("benches/results/table.md");
    let table = tables
        .split("\n\n")
        .find(|table| table.starts_with("| per request"))
        .unwrap();
    format!("{}\n", table.trim_end())
}
