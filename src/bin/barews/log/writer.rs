//! Lines on standard error that never hold up the server.
//!
//! Standard error may be closed, or a pipe that nobody empties, and std's macros would panic or
//! block. So one thread writes, and the others hand it lines: when it falls behind, lines are
//! counted and dropped, and so they are when nothing can be written, as on a full disk.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use barews::http::Date;

use super::{escape, json};

/// How long the end of the program waits for its last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Lines that may wait for the writer. What peers say in one is cut, so none has more than 8 KiB.
const MAX_WAITING_LINES: usize = 1024;

/// The longest sentence, in bytes.
const MAX_SENTENCE_LEN: usize = 1000;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: `barews: ` and a sentence.
    Text,
    /// For programs: a JSON object.
    Json,
    /// There are none.
    Off,
}

/// Hands lines to the thread that writes them.
#[derive(Clone)]
pub struct Log {
    format: Format,
    lines: Option<SyncSender<Entry>>,
    lost: Arc<Lost>,
}

/// Lines that nobody gets to read.
#[derive(Default)]
struct Lost {
    /// Those that no line has told of yet.
    untold: AtomicU64,
    /// All since the start.
    total: AtomicU64,
}

enum Entry {
    Line(String),
    /// All lines before this are written: say so.
    Flush(SyncSender<()>),
}

impl Log {
    /// A log with its thread. If there is no thread to be had, nothing is logged.
    pub fn start(format: Format) -> Self {
        let (sender, receiver) = sync_channel(MAX_WAITING_LINES);
        let lost = Arc::<Lost>::default();
        let writer = thread::Builder::new().name("log".to_owned()).spawn({
            let lost = Arc::clone(&lost);
            move || write(&receiver, &lost, format)
        });
        Self { format, lines: writer.is_ok().then_some(sender), lost }
    }

    /// Whether there are lines at all.
    pub fn is_on(&self) -> bool {
        self.lines.is_some() && self.format != Format::Off
    }

    /// Logs what happened, unless too many lines are waiting: `text` for people, or the fields,
    /// which are JSON already.
    pub fn log_event(
        &self,
        event: &str,
        text: impl FnOnce() -> String,
        fields: impl FnOnce() -> Vec<(&'static str, String)>,
    ) {
        let Some(lines) = &self.lines else { return };
        // No line has a character in it that a terminal or a viewer would act on.
        let line = match self.format {
            Format::Off => return,
            Format::Text => escape::line(&text()).into_owned(),
            Format::Json => object(event, fields()),
        };
        if lines.try_send(Entry::Line(line)).is_err() {
            self.lost.add();
        }
    }

    /// How many lines there was no room for, or could not be written, since the start.
    pub fn lost(&self) -> u64 {
        self.lost.total.load(Ordering::Relaxed)
    }

    /// Logs an event that is told by a sentence, cut where it is long.
    pub fn log_text(&self, event: &str, sentence: String) {
        let sentence = escape::truncate(&sentence, MAX_SENTENCE_LEN);
        self.log_event(
            event,
            || sentence.clone().into_owned(),
            || vec![("message", json::string(&sentence))],
        );
    }

    /// Waits until what was logged is written, but not for long.
    pub fn flush(&self) {
        let Some(lines) = &self.lines else { return };
        let start = Instant::now();
        let (done, written) = sync_channel(1);
        // Nothing in std waits both for room and for a time. A full backlog needs a few steps.
        while let Err(TrySendError::Full(_)) = lines.try_send(Entry::Flush(done.clone())) {
            if start.elapsed() >= FLUSH_TIMEOUT {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = written.recv_timeout(FLUSH_TIMEOUT.saturating_sub(start.elapsed()));
    }
}

impl Lost {
    fn add(&self) {
        self.untold.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes to standard error before the end of the program, if anybody listens.
pub fn log_error(text: &str) {
    let _ = put(text, Format::Text);
}

fn put(line: &str, format: Format) -> io::Result<()> {
    let head = if format == Format::Json { "" } else { "barews: " };
    io::stderr().write_all(format!("{head}{line}\n").as_bytes())
}

fn write(entries: &Receiver<Entry>, lost: &Lost, format: Format) {
    for entry in entries {
        let written = match entry {
            Entry::Line(line) => put(&line, format),
            Entry::Flush(done) => {
                let _ = done.try_send(());
                Ok(())
            }
        };
        if written.is_err() {
            lost.add();
            // Neither would a line be that tells of it.
            continue;
        }
        let count = lost.untold.swap(0, Ordering::Relaxed);
        let told = match format {
            _ if count == 0 => continue,
            Format::Json => object("lost", vec![("lines", count.to_string())]),
            _ => format!("{count} lines lost"),
        };
        if put(&told, format).is_err() {
            lost.untold.fetch_add(count, Ordering::Relaxed);
        }
    }
}

fn object(event: &str, mut fields: Vec<(&'static str, String)>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let head = [("time", json::string(&timestamp(now))), ("event", json::string(event))];
    fields.splice(0..0, head);
    json::object(&fields)
}

/// The time as RFC 3339 has it, in UTC with milliseconds.
fn timestamp(since_1970: Duration) -> String {
    format!("{}.{:03}Z", date_time(since_1970.as_secs()), since_1970.subsec_millis())
}

/// A time in seconds since 1970, as RFC 3339 has it but for the zone at its end.
pub fn date_time(since_1970: u64) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    // `Sun, 06 Nov 1994 08:49:37 GMT`.
    let date = Date::from_unix(since_1970).to_string();
    let (day, month, year, time) = (&date[5..7], &date[8..11], &date[12..16], &date[17..25]);
    let month = MONTHS.find(month).map_or(0, |at| at / 3 + 1);
    format!("{year}-{month:02}-{day}T{time}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (1_767_225_599, "2025-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(timestamp(Duration::from_secs(seconds)), text);
        }
        assert!(timestamp(Duration::from_millis(7)).ends_with(":00.007Z"));
    }

    #[test]
    fn a_full_backlog_is_flushed_too() {
        let (sender, entries) = sync_channel(1);
        let log = Log { format: Format::Text, lines: Some(sender), lost: Arc::default() };
        log.log_text("a", "the last line".to_owned());
        let flush = thread::spawn(move || log.flush());
        // For it to find the backlog full; sooner, it has an easier time.
        thread::sleep(Duration::from_millis(50));
        assert!(matches!(entries.recv(), Ok(Entry::Line(_))));
        let Ok(Entry::Flush(done)) = entries.recv() else { panic!("it has given up") };
        done.send(()).expect("it waits");
        flush.join().expect("no panic");
    }

    #[test]
    fn a_json_line_is_one_object() {
        let line = object("a", vec![("b", json::string("c\n"))]);
        let rest = line.strip_prefix("{\"time\":\"").unwrap().split_once('"').unwrap().1;
        assert_eq!(rest, r#","event":"a","b":"c\u000a"}"#);
    }
}
