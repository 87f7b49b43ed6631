//! How fast the kernel copies received bytes to a reader, by where to.
//!
//! It copies with `rep movsb`, which on some processors is twenty times slower when the destination
//! lies 1 to 31 bytes ahead of the source, modulo the size of a page. What was sent on the same
//! machine begins at the start of a page, so the offset of the reader's memory in its page decides.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

const PAGE: usize = 4096;

/// Bytes from the start of a page. The last two are where barews and the raw servers read to: half a
/// page away, and a frame's header farther.
const OFFSETS: [usize; 10] = [0, 1, 8, 14, 16, 31, 32, 64, 2048, 2062];

/// What is sent at once and then read, in bytes: whole pages, so that the next one begins with one too.
const LEN: usize = 256 << 10;

/// How often each offset is measured; all in turn, so that what disturbs one disturbs the others.
const ROUNDS: usize = 31;

/// Below this share of the best, an offset is slow.
const SLOW: f64 = 0.5;

/// What reading to an offset gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CopyRate {
    pub(crate) offset: usize,
    pub(crate) gb_s: f64,
}

/// Measures on this thread's core. It should have sent nothing before: the kernel goes on where the
/// last thing that a thread has sent ends in memory.
pub(crate) fn measure() -> Outcome<Vec<CopyRate>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut sender = TcpStream::connect(listener.local_addr()?)?;
    let (mut receiver, _) = listener.accept()?;
    sender.set_nonblocking(true)?;
    receiver.set_nonblocking(true)?;
    let sent = vec![7; LEN];
    let mut memory = vec![0; LEN + 2 * PAGE];
    let start = memory.as_ptr().addr().wrapping_neg() % PAGE;
    let mut times = OFFSETS.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (offset, times) in OFFSETS.iter().zip(&mut times) {
            let to = &mut memory[start + offset..][..LEN];
            times.push(transfer(&mut sender, &sent, &mut receiver, to)?);
        }
    }
    let rate = |(&offset, mut times): (&usize, Vec<Duration>)| {
        times.sort_unstable();
        CopyRate { offset, gb_s: LEN as f64 / times[ROUNDS / 2].as_secs_f64() / 1e9 }
    };
    Ok(OFFSETS.iter().zip(times).map(rate).collect())
}

/// Sends all of `sent` and receives it to `to`; how long the reads took.
fn transfer(
    sender: &mut TcpStream,
    sent: &[u8],
    receiver: &mut TcpStream,
    to: &mut [u8],
) -> Outcome<Duration> {
    let (mut written, mut read, mut time) = (0, 0, Duration::ZERO);
    while read < to.len() {
        // As much as the socket takes: most often it is all.
        while written < sent.len() {
            match sender.write(&sent[written..]) {
                Ok(len) => written += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let start = Instant::now();
        match receiver.read(&mut to[read..]) {
            Ok(0) => return Err("the end of a connection that was not closed".into()),
            Ok(len) => {
                time += start.elapsed();
                read += len;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(time)
}

/// The rates as Markdown, and what they say of the machine; nothing if there are none.
pub(crate) fn markdown(rates: &[CopyRate]) -> String {
    let best = rates.iter().map(|rate| rate.gb_s).fold(0.0, f64::max);
    if rates.is_empty() {
        return String::new();
    }
    let cells =
        |cell: fn(&CopyRate) -> String| rates.iter().map(cell).collect::<Vec<_>>().join(" | ");
    let mut out =
        "\nWhat the kernel copies to a reader, by the offset of its memory in a page:\n\n"
            .to_owned();
    let _ = writeln!(out, "| Offset | {} |", cells(|rate| rate.offset.to_string()));
    let _ = writeln!(out, "|---|{}", "---:|".repeat(rates.len()));
    let _ = writeln!(out, "| GB/s | {} |", cells(|rate| format!("{:.1}", rate.gb_s)));
    let slow: Vec<_> = rates.iter().filter(|rate| rate.gb_s < SLOW * best).collect();
    let verdict = match slow.as_slice() {
        [] => "It does not matter on this machine.".to_owned(),
        slow => {
            let offsets: Vec<_> = slow.iter().map(|rate| rate.offset.to_string()).collect();
            format!("It matters on this machine: slow are {}.", offsets.join(", "))
        }
    };
    let _ = writeln!(out, "\n{verdict}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_has_a_rate() {
        let rates = measure().unwrap();
        assert_eq!(rates.iter().map(|rate| rate.offset).collect::<Vec<_>>(), OFFSETS);
        assert!(rates.iter().all(|rate| rate.gb_s > 0.0), "{rates:?}");
    }

    #[test]
    fn tells_whether_it_matters() {
        let rates = |slow: f64| {
            OFFSETS.map(|offset| CopyRate { offset, gb_s: if offset == 14 { slow } else { 30.0 } })
        };
        let (some, none) = (markdown(&rates(1.7)), markdown(&rates(29.0)));
        assert!(some.contains("| 30.0 | 1.7 | 30.0 |") && some.contains("slow are 14."), "{some}");
        assert!(none.contains("does not matter"), "{none}");
        assert_eq!(markdown(&[]), "");
    }
}
