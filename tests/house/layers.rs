//! No file imports from one above it, the pure rooms are pure, and what is unsafe is in one place.
//!
//! The order is written nowhere but in the code: each file declares its modules from the bottom
//! up, and stands above them itself.

use std::path::Path;

use crate::tree::{self, entries, read, root};

/// The roots of all that is built here.
const ROOTS: [&str; 4] = [
    "src/lib.rs",
    "src/bin/barews/main.rs",
    "benches/src/bin/compare/main.rs",
    "benches/src/bin/peers/main.rs",
];

/// The rooms without a socket, a thread or a clock: there, the time is an argument.
const PURE: [&str; 3] = ["proto", "http", "session"];

/// What they must do without.
const IMPURE: [&str; 9] = [
    "std::io",
    "std::net",
    "std::thread",
    "std::fs",
    "std::process",
    "std::env",
    "Instant::now",
    ".elapsed()",
    "SystemTime",
];

/// A module of a crate.
#[derive(Debug)]
struct Module {
    /// Empty for the root.
    path: Vec<String>,
    /// Without its tests and comments.
    code: String,
}

/// The roots that are here: `benches` is not in the package.
fn roots() -> impl Iterator<Item = std::path::PathBuf> {
    let is_here = |file: &&str| !file.starts_with("benches/") || root().join("benches").exists();
    ROOTS.into_iter().filter(move |file| is_here(file)).map(|file| root().join(file))
}

/// The code of a file up to its tests, without its comments: they may speak of what it does without.
fn code(file: &Path) -> String {
    let text = read(file);
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let mut documents = false;
    let lines = code.lines().filter(|line| {
        let is_code = !line.trim_start().starts_with("//") && !documents;
        documents = *line == "#[cfg(doc)]";
        is_code
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules of a crate from its bottom to its root, as its files declare them.
fn modules(root: &Path) -> Vec<Module> {
    let mut modules = Vec::new();
    collect(root, root.parent().unwrap(), Vec::new(), &mut modules);
    modules
}

fn collect(file: &Path, folder: &Path, path: Vec<String>, modules: &mut Vec<Module>) {
    let code = code(file);
    let mut hidden = false;
    for line in code.lines() {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'))
            && !hidden
        {
            let below = folder.join(name);
            let files = [below.join("mod.rs"), folder.join(format!("{name}.rs"))];
            let file = files.iter().find(|file| file.exists());
            let file = file.unwrap_or_else(|| panic!("{name} has no file in {folder:?}"));
            let path = [&path[..], &[name.to_owned()]].concat();
            collect(file, &below, path, modules);
        }
        // A module of tests may import what it tests.
        hidden = line.starts_with("#[cfg(") && line.contains("test");
    }
    modules.push(Module { path, code });
}

/// The paths that `code` names behind `start`, with those in braces one by one.
fn paths(code: &str, start: &str) -> Vec<Vec<String>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(start) {
        if !code[..at].ends_with(is_word) && !code[..at].ends_with("::") {
            expand(&code[at + start.len()..], &[], &mut paths);
        }
    }
    paths
}

/// Adds what a tree of imports stands for, and returns what follows it.
fn expand<'a>(tree: &'a str, before: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    let tree = tree.trim_start();
    if let Some(mut list) = tree.strip_prefix('{') {
        loop {
            list = expand(list, before, paths).trim_start();
            list = match list.strip_prefix(',') {
                Some(list) if !list.trim_start().starts_with('}') => list,
                _ => return list.trim_start_matches([',', '}', ' ', '\n']),
            };
        }
    }
    let end = tree.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(tree.len());
    let path = [before, &[tree[..end].to_owned()]].concat();
    match tree[end..].strip_prefix("::") {
        Some(rest) => expand(rest, &path, paths),
        None => {
            paths.push(path);
            &tree[end..]
        }
    }
}

/// The paths, from the root of its crate, of all that a module imports from it.
fn imports(module: &Module) -> Vec<Vec<String>> {
    let mut imports = paths(&module.code, "crate::");
    let mut up = String::new();
    for depth in (0..module.path.len()).rev() {
        up += "super::";
        let from = paths(&module.code, &up).into_iter();
        imports.extend(from.map(|path| [&module.path[..depth], &path].concat()));
    }
    imports
}

#[test]
fn no_file_imports_from_above() {
    for root in roots() {
        let modules = modules(&root);
        let (mut seen, mut wrong) = (0, Vec::new());
        for (rank, module) in modules.iter().enumerate() {
            for import in imports(module) {
                // The deepest module on the way: what follows it is an item.
                let of = |depth: usize| modules.iter().position(|m| m.path == import[..depth]);
                let Some(other) = (0..=import.len()).rev().find_map(of) else { continue };
                if import.first().is_some_and(|first| first != "super") && other != rank {
                    seen += 1;
                    if other > rank {
                        wrong.push(format!(
                            "{} imports {}",
                            module.path.join("::"),
                            import.join("::")
                        ));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}, from above: {wrong:#?}", root.display());
        assert!(seen > 0, "no import of {} was seen: the test is blind", root.display());
    }
}

/// Else what it holds would be in nobody's order.
#[test]
fn every_file_is_declared() {
    for root in roots() {
        let mut files = 0;
        let mut folders = vec![root.parent().unwrap().to_owned()];
        while let Some(folder) = folders.pop() {
            for path in entries(&folder) {
                let name = path.file_name().unwrap().to_str().unwrap();
                if path.is_dir() && name != "bin" {
                    folders.push(path);
                } else if name.ends_with(".rs") && !is_for_tests(&path) {
                    files += 1;
                }
            }
        }
        assert_eq!(files, modules(&root).len(), "{}", root.display());
    }
}

fn is_for_tests(file: &Path) -> bool {
    ["tests.rs", "testing.rs", "models.rs"].iter().any(|name| file.ends_with(name))
}

#[test]
fn the_pure_rooms_are_pure() {
    let modules = modules(&root().join(ROOTS[0]));
    for room in PURE {
        let mut files = 0;
        for module in modules.iter().filter(|module| module.path.first().is_some_and(|m| m == room))
        {
            files += 1;
            for word in IMPURE {
                let path = module.path.join("::");
                assert!(!module.code.contains(word), "{path} has {word} in it");
            }
        }
        assert!(files > 3, "{room} has only {files} files");
    }
}

/// SECURITY.md counts them: each is in the binary's folder for the system, with its argument.
#[test]
fn what_is_unsafe_is_in_one_place() {
    let mut blocks = 0;
    for path in tree::rust("src") {
        let text = read(&path);
        let count = text.matches("unsafe {").count();
        let argued = text.matches("// SAFETY: ").count();
        assert_eq!(count, argued, "{}", path.display());
        assert!(count == 0 || path.starts_with(root().join("src/bin/barews/os")), "{path:?}");
        blocks += count;
    }
    let told = read(&root().join("SECURITY.md"));
    assert!(told.contains(&format!("the binary has {blocks} `unsafe` blocks")), "{blocks}");
}
