//! The layers of the crate hold: no file imports from one below it in this list, and the pure
//! layers import nothing that could do I/O or tell the time.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom of the crate to its top. A file may import from those before it.
const ORDER: &[&str] = &[
    "proto/code",
    "proto/violation",
    "proto/mask",
    "proto/utf8",
    "proto/frame",
    "proto/close",
    "proto/event",
    "proto/receive",
    "proto/send",
    "proto/closing",
    "proto/mod",
    "http/grammar",
    "http/head",
    "http/date",
    "http/error",
    "http/target",
    "http/parse",
    "http/reply",
    "http/refusal",
    "http/origin",
    "http/handshake",
    "http/mod",
    "config",
    "error",
    "message",
    "request",
    "deadline",
    "headroom",
    "threads",
    "spare",
    "budget",
    "writer",
    "transport",
    "shared",
    "patience",
    "buffer",
    "partial",
    "inbound",
    "sender",
    "receiver",
    "raw",
    "connection",
    "callbacks",
    "upgrade",
    "listener",
    "door",
    "registry",
    "service",
    "server",
    "lib",
];

/// What `proto` and `http` must do without.
const IMPURE: [&str; 6] = ["io", "net", "thread", "time", "fs", "process"];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The files of the library by their names in [`ORDER`], without their tests.
fn library() -> HashMap<String, String> {
    let mut files = HashMap::new();
    for folder in ["", "proto", "http"] {
        for entry in fs::read_dir(src().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(src()).unwrap().with_extension("");
                let name = name.to_str().unwrap().replace('\\', "/");
                if name == "http/testing" {
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                // A pure file's documentation may speak of what its code does without.
                let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                files.insert(name, code.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    files
}

/// The words that follow `path` in `code`: one, or those of a braced list.
fn after<'a>(code: &'a str, path: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(path).flat_map(move |(at, _)| {
        let rest = &code[at + path.len()..];
        let list = match rest.strip_prefix('{') {
            Some(list) => list.split(';').next().unwrap_or(list),
            None => rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""),
        };
        list.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
    })
}

#[test]
fn every_file_has_its_place() {
    let files = library();
    for name in files.keys() {
        assert!(ORDER.contains(&name.as_str()), "{name} is not in the list of layers");
    }
    assert_eq!(files.len(), ORDER.len(), "the list of layers names a file that is gone");
}

#[test]
fn no_file_imports_from_above() {
    let rank = |name: &str| ORDER.iter().position(|file| *file == name);
    let mut imports = 0;
    for (file, code) in library() {
        if file == "lib" || file.ends_with("/mod") {
            continue;
        }
        let own = rank(&file).unwrap();
        let folder = file.split_once('/').map_or("", |(folder, _)| folder);
        let crates =
            after(&code, "crate::").flat_map(|word| [word.to_owned(), format!("{word}/mod")]);
        let siblings = after(&code, "super::").map(|word| format!("{folder}/{word}"));
        for import in crates.chain(siblings) {
            if let Some(other) = rank(&import) {
                imports += 1;
                assert!(other < own, "{file} imports {import}, which is above it");
            }
        }
    }
    assert!(imports > 60, "only {imports} imports were seen: the test is blind");
}

#[test]
fn the_pure_layers_are_pure() {
    for (file, code) in library() {
        if file.starts_with("proto/") || file.starts_with("http/") {
            for word in after(&code, "std::") {
                assert!(!IMPURE.contains(&word), "{file} imports std::{word}");
            }
        }
    }
}

/// SECURITY.md counts them: each is in the binary's folder for the system, with its argument.
#[test]
fn what_is_unsafe_is_in_one_place() {
    let mut blocks = 0;
    let mut folders = vec![src()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let count = text.matches("unsafe {").count();
            let argued = text.matches("// SAFETY: ").count();
            assert_eq!(count, argued, "{}", path.display());
            assert!(count == 0 || path.starts_with(src().join("bin/barews/os")), "{path:?}");
            blocks += count;
        }
    }
    let told = fs::read_to_string(src().with_file_name("SECURITY.md")).unwrap();
    assert!(told.contains(&format!("the binary has {blocks} `unsafe` blocks")), "{blocks}");
}

/// The map at the head of `lib.rs` has every file, in the order of the list.
#[test]
fn the_map_names_every_file() {
    let text = fs::read_to_string(src().join("lib.rs")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("//! | "));
    let rows = rows.collect::<Vec<_>>().join("\n");
    let named: Vec<_> = rows.split('`').skip(1).step_by(2).collect();
    let mut folder = "";
    let mut files = Vec::new();
    for name in named {
        match name {
            "proto" | "http" => folder = name,
            "config" => {
                folder = "";
                files.push(name.to_owned());
            }
            _ if folder.is_empty() => files.push(name.to_owned()),
            _ => files.push(format!("{folder}/{name}")),
        }
    }
    let is_file = |name: &&&str| !name.ends_with("/mod") && **name != "lib";
    let order: Vec<_> = ORDER.iter().filter(is_file).map(|name| (*name).to_owned()).collect();
    assert_eq!(files, order);
}
