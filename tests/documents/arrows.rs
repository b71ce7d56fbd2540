//! The order in which modules import each other is the one that ARCHITECTURE.md states.

use std::collections::BTreeMap;
use std::fs;

use super::{path, read};

/// Modules by folder, in order.
fn order() -> BTreeMap<String, Vec<String>> {
    let architecture = read("ARCHITECTURE.md");
    let (_, text) = architecture.split_once("```text\nsrc: ").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    let mut order = BTreeMap::new();
    let mut folder = "src";
    for line in text.lines() {
        let names = match line.split_once(": ") {
            Some((next, names)) => {
                folder = next;
                names
            }
            None => line,
        };
        let list: &mut Vec<String> = order.entry(folder.to_owned()).or_default();
        list.extend(names.split_whitespace().map(ToOwned::to_owned));
    }
    order
}

/// The code of a module and of those below it, without tests.
fn code(folder: &str, module: &str) -> String {
    let mut files = vec![path(&format!("{folder}/{module}.rs"))];
    if let Ok(below) = path(&format!("{folder}/{module}")).read_dir() {
        files.extend(below.map(|entry| entry.unwrap().path()));
    }
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    let code = texts.map(|text| {
        text.split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap()
            .to_owned()
    });
    code.collect()
}

#[test]
fn modules_import_only_what_stands_before_them() {
    for (folder, modules) in order() {
        let prefix = if folder == "src" {
            "crate::"
        } else {
            "super::"
        };
        for entry in path(&folder).read_dir().unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let module = name
                .strip_suffix(".rs")
                .filter(|name| !["lib", "mod"].contains(name));
            let is_listed = module.is_none_or(|name| modules.iter().any(|own| own == name));
            assert!(is_listed, "{folder}/{name} is not in the list");
        }
        for (place, module) in modules.iter().enumerate() {
            let code = code(&folder, module);
            let imported = code.lines().filter(|line| line.starts_with("use "));
            for line in imported.filter_map(|line| line.split_once(prefix)) {
                let name: String = (line.1.chars())
                    .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                    .collect();
                let at = modules.iter().position(|own| *own == name);
                let own = name == *module;
                assert!(
                    own || at.is_none_or(|at| at < place),
                    "{folder}/{module} imports {name}"
                );
            }
        }
    }
}
