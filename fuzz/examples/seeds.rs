//! Writes the seeds of every target to a directory of its own below the one that is named.

use std::{env, fs, path::PathBuf};

fn main() -> std::io::Result<()> {
    let root = PathBuf::from(env::args_os().nth(1).expect("usage: seeds DIR"));
    for (target, name, bytes) in barews_fuzz::seeds::seeds() {
        let folder = root.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
