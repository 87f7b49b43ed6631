//! The program's start, often enough for a race to show.

use std::os::unix::net::{UnixListener, UnixStream};

use crate::common::{Binary, command};

/// Four who start at once beside what a dead server has left: one wins, and has the path.
#[test]
fn edge_h_one_of_four_starts_wins() {
    let folder = std::env::temp_dir().join(format!("barews-starts-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("socket");
    let addr = format!("unix:{}", path.display());
    drop(UnixListener::bind(&path).unwrap());
    for round in 0..500 {
        let start = |_| Binary::start(&mut command(&[&addr]));
        let mut programs: Vec<_> = (0..4).map(start).collect();
        let lines: Vec<_> = programs.iter_mut().map(Binary::line).collect();
        let won = lines.iter().filter(|line| line.starts_with("barews: listening on ")).count();
        assert_eq!(won, 1, "round {round}: {lines:?}");
        UnixStream::connect(&path).expect("it leads to the winner");
        // Killed, the winner leaves its file for the next round.
        drop(programs);
        assert!(path.exists());
    }
    std::fs::remove_dir_all(folder).unwrap();
}
