//! Replays what the fuzzers know, without a fuzzer: the seeds, the corpora, and every input that
//! once broke an invariant. `fuzz/run` runs the fuzzers themselves.

#[path = "../fuzz/src/lib.rs"]
mod invariants;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, panic, thread};

use barews::http::{HeadLimits, HeadParser};
use invariants::receive_split::LIMITS;
use invariants::reference::{End, code_of, judge};
use invariants::seeds::{self, Outcome};
use invariants::{TARGETS, Target, handshake};

/// The files of a target below this folder of `fuzz`.
fn files(folder: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder).join(target);
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs a check, and names the input if it fails.
fn replay((target, check): Target, name: &str, input: &[u8]) {
    if let Err(payload) = panic::catch_unwind(|| check(input)) {
        eprintln!("{target} fails on {name}");
        panic::resume_unwind(payload);
    }
}

#[test]
fn every_corpus_and_every_past_crash() {
    thread::scope(|scope| {
        for &target in TARGETS {
            scope.spawn(move || {
                let corpus = files("corpus", target.0);
                assert!(!corpus.is_empty(), "no corpus for {}", target.0);
                for file in corpus.into_iter().chain(files("regressions", target.0)) {
                    replay(target, &file.display().to_string(), &fs::read(&file).unwrap());
                }
            });
        }
    });
}

/// The seeds are made by code; where `BAREWS_SEEDS` names a folder, they are written there too, for
/// `fuzz/run` to begin with.
#[test]
fn every_seed() {
    let folder = env::var_os("BAREWS_SEEDS").map(PathBuf::from);
    for (target, name, input) in seeds::seeds() {
        if let Some(folder) = folder.as_ref().map(|folder| folder.join(target)) {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(&name), &input).unwrap();
        }
        let target = *TARGETS.iter().find(|it| it.0 == target).unwrap();
        replay(target, &name, &input);
    }
}

/// What the fuzzers compare with is right about what is known.
#[test]
fn the_naive_models_judge_the_seeds_as_they_should() {
    for (name, limits, stream, outcome) in seeds::streams() {
        let verdict = match judge(&stream, LIMITS[usize::from(limits)]).end {
            End::Open { .. } => Outcome::Open,
            End::Closed => Outcome::Closed,
            End::Failed { violation, .. } => Outcome::Fails(code_of(violation)),
        };
        assert_eq!(verdict, outcome, "{name}");
    }
    for (name, request, good) in seeds::requests() {
        assert_eq!(handshake::accepts(&request), good, "{name}");
    }
    #[cfg(feature = "deflate")]
    for (name, lines, good) in seeds::OFFERS {
        assert_eq!(invariants::offers::accepts(lines.as_bytes()), *good, "{name}");
    }
    #[cfg(feature = "deflate")]
    compression::the_naive_readers_judge_as_they_should();
}

#[cfg(feature = "deflate")]
mod compression {
    use super::invariants::blocks::{End, read};
    use super::invariants::compressed_session::{LIMITS, verdict};
    use super::invariants::deflate_seeds::{FRAMES, MESSAGES};
    use super::invariants::reference::code_of;
    use super::invariants::seeds::{Outcome, bytes};

    pub fn the_naive_readers_judge_as_they_should() {
        for (name, kept, messages, good) in MESSAGES {
            let (mut said, mut ends) = (Vec::new(), Vec::new());
            for message in *messages {
                let before = if *kept & 8 == 0 { &said[..] } else { b"" };
                let message = read(&bytes(message), before, 256 << (kept % 8));
                said.extend(message.bytes);
                ends.push(message.end == End::Whole);
            }
            let (last, others) = ends.split_last().unwrap();
            assert!(last == good && others.iter().all(|good| *good), "{name}: {ends:?}");
        }
        for (name, limits, frames, outcome) in FRAMES {
            let (closed, wrong) = verdict(&bytes(frames), LIMITS[usize::from(*limits)]);
            let verdict = match &wrong[..] {
                [] if closed => Outcome::Closed,
                [] => Outcome::Open,
                // It may have too many bytes as well.
                [.., violation] => Outcome::Fails(code_of(*violation)),
            };
            assert_eq!(verdict, *outcome, "{name}");
        }
    }
}

/// Each byte of a head costs the same, however many came before it: a parser that starts over
/// with each piece would not be through for minutes.
#[test]
fn a_head_takes_linear_time() {
    let size = 2 << 20;
    let limits = HeadLimits {
        max_request_line: size,
        max_header_line: size,
        max_headers: size,
        max_head_size: size,
    };
    for filler in ["a", "a: b\r\n"] {
        let mut parser = HeadParser::new(limits);
        parser.feed(b"GET / HTTP/1.1\r\n").unwrap();
        let start = Instant::now();
        for byte in filler.bytes().cycle().take(size - 16) {
            assert!(matches!(parser.feed(&[byte]), Ok((1, None))));
            assert!(start.elapsed() < Duration::from_secs(20), "not linear");
        }
    }
}
