//! An example as a child process on a free port, and a folder for it.

use std::env::{self, consts::EXE_SUFFIX};
use std::fs;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};

use crate::common::Binary;

/// Starts an example, and waits until it has said where it listens.
pub(crate) fn start(name: &str, args: &[&str]) -> Binary {
    let mut command = Command::new(path(name));
    command.arg("127.0.0.1:0").args(args);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut example = Binary::start(&mut command);
    let line = example.line();
    let (_, addr) = line.split_once("://").expect(&line);
    assert!(line.starts_with("listening on ws"), "{line}");
    example.addr = addr.parse().expect(&line);
    example
}

/// A folder that is deleted with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("barews-{name}-{}", process::id()));
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("a folder");
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where Cargo puts an example: beside the folder that this test is in.
fn path(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    let built = test.parent().and_then(|deps| deps.parent()).expect("a folder of what is built");
    let path = built.join("examples").join(format!("{name}{EXE_SUFFIX}"));
    let source = format!("{}/examples/{name}.rs", env!("CARGO_MANIFEST_DIR"));
    let time = |path: &PathBuf| path.metadata().and_then(|file| file.modified()).ok();
    // An old program would be tested in place of the one that is there to be read.
    assert!(time(&path) >= time(&source.into()), "{name} has to be built: cargo build --examples");
    path
}
