//! The values of options. What is wrong with one is told by what would be right.

use std::time::Duration;

use crate::address::Address;
use crate::log::Format;

/// The least stack of a thread: a panic's report has to fit, which takes the most.
const LEAST_STACK: usize = 64 << 10;

/// The most: far more than anybody needs, and far less than address space for a few.
const MOST_STACK: usize = 1 << 30;

pub(crate) fn address(text: &str) -> Result<Address, &'static str> {
    Address::parse(text).ok_or("HOST:PORT or unix:PATH")
}

pub(crate) fn format(text: &str) -> Result<Format, &'static str> {
    Format::parse(text).ok_or("text, json or off")
}

pub(crate) fn flag(text: &str) -> Result<bool, &'static str> {
    match text {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("1 or 0"),
    }
}

/// How many of something there may be: none would be no server.
pub(crate) fn count(text: &str) -> Result<u32, &'static str> {
    let number = number(text).and_then(|number| u32::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or("a number from 1 to 4294967295")
}

pub(crate) fn size(text: &str) -> Result<u64, &'static str> {
    any_size(text).ok_or("a size, such as 4096, 64K, 16M or 1G")
}

/// Room for something that every request has.
pub(crate) fn room(text: &str) -> Result<usize, &'static str> {
    let size = any_size(text).and_then(|size| usize::try_from(size).ok());
    size.filter(|size| *size > 0).ok_or("a size above zero, such as 4096, 64K or 16M")
}

pub(crate) fn stack(text: &str) -> Result<Option<usize>, &'static str> {
    let size = any_size(text).and_then(|size| usize::try_from(size).ok());
    match size.filter(|size| (LEAST_STACK..=MOST_STACK).contains(size)) {
        None => Err("a size from 64K to 1G"),
        size => Ok(size),
    }
}

/// A time that may be none at all.
pub(crate) fn time(text: &str) -> Result<Duration, &'static str> {
    any_time(text).ok_or("a time, such as 500ms, 10s, 2m or off")
}

/// A time to wait for a peer. Zero would be over before it began.
pub(crate) fn patience(text: &str) -> Result<Duration, &'static str> {
    any_time(text)
        .filter(|time| !time.is_zero())
        .ok_or("a time above zero, such as 500ms, 10s or 2m, or off")
}

fn number(text: &str) -> Option<u64> {
    // `parse` would let a sign pass.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn any_size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    number(digits)?.checked_mul(1 << shift)
}

fn any_time(text: &str) -> Option<Duration> {
    if text == "off" {
        return Some(Duration::MAX);
    }
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(unit);
    let count = number(digits)?;
    match unit {
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_secs(count.checked_mul(60)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_no_answer() {
        assert_eq!(time("0s"), Ok(Duration::ZERO));
        for zero in ["0ms", "0s", "00m"] {
            assert!(patience(zero).is_err_and(|right| right.starts_with("a time above zero")));
        }
        assert_eq!(patience("off"), Ok(Duration::MAX));
        for wrong in ["0", "4294967296", "18446744073709551616", "-1", "1K"] {
            assert_eq!(count(wrong), Err("a number from 1 to 4294967295"), "{wrong}");
        }
        assert_eq!(count("4294967295"), Ok(u32::MAX));
        assert_eq!((room("1"), size("0")), (Ok(1), Ok(0)));
        assert!(room("0K").is_err_and(|right| right.starts_with("a size above zero")));
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
