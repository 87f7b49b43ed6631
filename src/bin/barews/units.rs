//! Sizes and times as people write them, for options and for queries.

use std::time::Duration;

/// A number in digits alone.
pub fn number(text: &str) -> Option<u64> {
    // `parse` would let a sign pass.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Bytes, or with K, M or G so many KiB, MiB or GiB.
pub fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 10),
        b'M' | b'm' => (&text[..text.len() - 1], 20),
        b'G' | b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    number(digits)?.checked_mul(1 << shift)
}

/// A number with its unit, ms, s, m or h; `off` is for ever.
pub fn time(text: &str) -> Option<Duration> {
    match text {
        "off" => return Some(Duration::MAX),
        // The only number that needs no unit.
        "0" => return Some(Duration::ZERO),
        _ => {}
    }
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (count, unit) = text.split_at(unit);
    let unit = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    // A fraction has at least a digit on either side.
    let (whole, fraction) = count.split_once('.').unwrap_or((count, "0"));
    let places = u32::try_from(fraction.len()).ok().filter(|places| (1..10).contains(places))?;
    let fraction = u128::from(number(fraction)?) * unit / 10_u128.pow(places);
    let nanos = u128::from(number(whole)?) * unit + fraction;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
}
