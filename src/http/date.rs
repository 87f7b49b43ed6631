//! The time as HTTP writes it (RFC 9110 §5.6.7).

use std::fmt;

/// A moment for a `Date` header, to the second.
///
/// It prints in the one form that may be sent, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Since 1970, without leap seconds.
    seconds: u64,
}

/// The first that its form has no room for.
const YEAR_10000: u64 = 253_402_300_800;

impl Date {
    /// The moment this many seconds after the start of 1970 in UTC, leap seconds not counted, as
    /// system clocks have it. What is past the year 9999 counts as its end.
    pub const fn from_unix(seconds: u64) -> Date {
        Date { seconds: if seconds < YEAR_10000 { seconds } else { YEAR_10000 - 1 } }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (days, second) = (self.seconds / 86_400, self.seconds % 86_400);
        let (mut year, mut day) = (1970, days);
        while day >= 365 + u64::from(is_leap(year)) {
            day -= 365 + u64::from(is_leap(year));
            year += 1;
        }
        let february = 28 + u64::from(is_leap(year));
        let mut month = 0;
        for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
            if day < length {
                break;
            }
            day -= length;
            month += 1;
        }
        write!(
            f,
            "{}, {:02} {} {year} {:02}:{:02}:{:02} GMT",
            DAYS[(days % 7) as usize],
            day + 1,
            MONTHS[month],
            second / 3_600,
            second / 60 % 60,
            second % 60,
        )
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_s_dates_are_written_as_http_has_them() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            // The example of RFC 9110 §5.6.7.
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_709_251_200, "Fri, 01 Mar 2024 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (YEAR_10000 - 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (YEAR_10000, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(Date::from_unix(seconds).to_string(), text);
            assert_eq!(text.len(), 29);
        }
    }
}
