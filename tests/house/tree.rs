//! The files of the repository, and of its package, in which some folders are missing.

use std::fs;
use std::path::{Path, PathBuf};

/// What is built, installed or found, and so not ours.
const NOT_OURS: [&str; 6] = ["target", "node_modules", "venv", "reports", "corpus", "artifacts"];

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// How the file is called in the repository.
pub(crate) fn name(file: &Path) -> String {
    let name = file.strip_prefix(root()).unwrap().to_str().unwrap();
    name.replace(std::path::MAIN_SEPARATOR, "/")
}

/// The files below `folder`, which may be missing from a package.
pub(crate) fn files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop().filter(|folder| folder.exists()) {
        for path in entries(&folder) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if !path.is_dir() {
                files.push(path);
            } else if !NOT_OURS.contains(&name) && (name == ".ci" || !name.starts_with('.')) {
                folders.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Those of them that are Rust.
pub(crate) fn rust(folder: &str) -> Vec<PathBuf> {
    let is_rust = |file: &PathBuf| file.extension().is_some_and(|end| end == "rs");
    files(folder).into_iter().filter(is_rust).collect()
}

/// Where `word` stands in `text`. An end of it that is a letter ends an identifier there too.
pub(crate) fn find<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (starts, ends) = (word.starts_with(is_word), word.ends_with(is_word));
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let goes_on = starts && text[..at].ends_with(is_word)
            || ends && text[at + word.len()..].starts_with(is_word);
        !goes_on
    })
}

pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}
