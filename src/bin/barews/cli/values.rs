//! The values of options. An error says what would be right.

use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "tls")]
use barews::rustls::pki_types::ServerName;

use super::options::Engine;
use crate::drain::MAX_DRAIN;
use crate::log::Format;
use crate::units;

/// The least stack of a thread: a panic's report has to fit, which takes the most.
const MIN_STACK_SIZE: usize = 64 << 10;

/// The most: far more than anybody needs, and far less than address space for a few.
const MAX_STACK_SIZE: usize = 1 << 30;

pub fn format(text: &str) -> Result<Format, &'static str> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "off" => Ok(Format::Off),
        _ => Err("text, json or off"),
    }
}

pub fn engine(text: &str) -> Result<Engine, &'static str> {
    let engine = Engine::ALL.into_iter().find(|engine| engine.name() == text);
    engine.ok_or("threads or event-loop")
}

pub fn flag(text: &str) -> Result<bool, &'static str> {
    match text {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("1 or 0"),
    }
}

/// How many of something there may be: none would be no server.
pub fn count(text: &str) -> Result<u32, &'static str> {
    let number = units::number(text).and_then(|number| u32::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or("a number from 1 to 4294967295")
}

/// No machine has more cores.
#[cfg(feature = "event-loop")]
pub fn loops(text: &str) -> Result<Option<usize>, &'static str> {
    let number = units::number(text).and_then(|number| usize::try_from(number).ok());
    let loops = number.filter(|number| (1..=1024).contains(number));
    loops.map(Some).ok_or("a number from 1 to 1024")
}

pub fn size(text: &str) -> Result<u64, &'static str> {
    units::size(text).ok_or("a size, such as 4096, 64K, 16M or 1G")
}

/// The longest that something may be which every request has.
pub fn positive_size(text: &str) -> Result<usize, &'static str> {
    let size = units::size(text).and_then(|size| usize::try_from(size).ok());
    size.filter(|size| *size > 0).ok_or("a size above zero, such as 4096, 64K or 16M")
}

#[cfg(feature = "deflate")]
pub fn level(text: &str) -> Result<u8, &'static str> {
    small(text, 1, 9).ok_or("a level from 1 to 9")
}

#[cfg(feature = "deflate")]
pub fn window_bits(text: &str) -> Result<u8, &'static str> {
    small(text, 9, 15).ok_or("a number from 9 to 15")
}

/// No message refers further back than a window is large.
#[cfg(feature = "deflate")]
pub fn history(text: &str) -> Result<u64, &'static str> {
    units::size(text).filter(|size| *size <= 32 << 10).ok_or("a size up to 32K")
}

#[cfg(feature = "deflate")]
pub fn threshold(text: &str) -> Result<usize, &'static str> {
    size(text)?.try_into().map_err(|_| "a size that this machine has")
}

#[cfg(feature = "deflate")]
fn small(text: &str, least: u8, most: u8) -> Option<u8> {
    units::number(text)?.try_into().ok().filter(|number| (least..=most).contains(number))
}

pub fn file(text: &str) -> Result<Option<PathBuf>, &'static str> {
    if text.is_empty() { Err("the name of a file") } else { Ok(Some(text.into())) }
}

/// The names for a certificate that signs itself; yes is for those that go without saying.
#[cfg(feature = "tls")]
pub fn self_signed(text: &str) -> Result<Option<Vec<String>>, &'static str> {
    if let Ok(flag) = flag(text) {
        return Ok(flag.then(Vec::new));
    }
    let is_name =
        |name: &str| ServerName::try_from(name.strip_prefix("*.").unwrap_or(name)).is_ok();
    let names: Vec<_> = text.split(',').map(str::trim).map(str::to_owned).collect();
    let all = names.iter().all(|name| is_name(name));
    if all { Ok(Some(names)) } else { Err("1, 0, or names and addresses with commas between") }
}

pub fn stack(text: &str) -> Result<Option<usize>, &'static str> {
    let size = units::size(text).and_then(|size| usize::try_from(size).ok());
    match size.filter(|size| (MIN_STACK_SIZE..=MAX_STACK_SIZE).contains(size)) {
        None => Err("a size from 64K to 1G"),
        size => Ok(size),
    }
}

/// A time that may be none at all.
pub fn time(text: &str) -> Result<Duration, &'static str> {
    units::time(text).ok_or("a time, such as 500ms, 1.5s, 2m, 1h or off")
}

/// How long a drain may take.
pub fn drain(text: &str) -> Result<Duration, &'static str> {
    units::time(text).filter(|time| *time <= MAX_DRAIN).ok_or("a time from 0s to 1h, such as 30s")
}

/// A time to wait for a peer. Zero would be over before it began.
pub fn timeout(text: &str) -> Result<Duration, &'static str> {
    units::time(text)
        .filter(|time| !time.is_zero())
        .ok_or("a time above zero, such as 500ms, 1.5s, 2m or 1h, or off")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_no_answer() {
        assert_eq!(time("0s"), Ok(Duration::ZERO));
        for zero in ["0ms", "0s", "00m"] {
            assert!(timeout(zero).is_err_and(|right| right.starts_with("a time above zero")));
        }
        assert_eq!(timeout("off"), Ok(Duration::MAX));
        for wrong in ["0", "4294967296", "18446744073709551616", "-1", "1K"] {
            assert_eq!(count(wrong), Err("a number from 1 to 4294967295"), "{wrong}");
        }
        assert_eq!(count("4294967295"), Ok(u32::MAX));
        assert_eq!((positive_size("1"), size("0")), (Ok(1), Ok(0)));
        assert!(positive_size("0K").is_err_and(|right| right.starts_with("a size above zero")));
    }

    #[test]
    fn edge_ab_times_as_people_write_them() {
        for (text, millis) in [
            ("500ms", 500),
            ("0.5s", 500),
            ("1.5m", 90_000),
            ("1h", 3_600_000),
            ("0.25h", 900_000),
            ("1.50s", 1_500),
            ("0", 0),
            ("0.0s", 0),
        ] {
            assert_eq!(time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(time("1.5ms"), Ok(Duration::from_micros(1_500)));
        assert_eq!(time("0.000000001s"), Ok(Duration::from_nanos(1)));
        assert_eq!(time("18446744073709551615s"), Ok(Duration::from_secs(u64::MAX)));
        for wrong in [
            "",
            "s",
            "1",
            "1.5",
            ".5s",
            "1.s",
            "1.2.3s",
            "1d",
            "1 s",
            "1S",
            "-1s",
            "+1s",
            "1m30s",
            "1e3s",
            "0.0000000001s",
            "18446744073709551615m",
            "18446744073709551616s",
        ] {
            assert!(time(wrong).is_err_and(|right| right.contains("1.5s, 2m, 1h")), "{wrong}");
        }
        assert_eq!((size("64k"), size("64K")), (Ok(65_536), Ok(65_536)));
        assert_eq!((size("1m"), size("1g")), (Ok(1 << 20), Ok(1 << 30)));
    }

    #[test]
    fn a_stack_is_not_too_small() {
        assert_eq!(stack("64K"), Ok(Some(64 << 10)));
        assert_eq!(stack("1G"), Ok(Some(1 << 30)));
        for wrong in ["0", "65535", "2G", "x"] {
            assert_eq!(stack(wrong), Err("a size from 64K to 1G"), "{wrong}");
        }
    }
}
