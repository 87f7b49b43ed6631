//! The little of X.509 (RFC 5280) that is told of a certificate: names, dates, who has signed it.
//!
//! ```text
//! Certificate    tbsCertificate, signatureAlgorithm, signature
//! tbsCertificate [0] version, serialNumber, signature, issuer, validity, subject,
//!                subjectPublicKeyInfo, [1] [2] unique ids, [3] extensions
//! ```
//!
//! Each value is a tag, a length and so many bytes (X.690). Nothing here decides about trust:
//! the library for TLS reads the certificate for itself.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Tags (X.690 §8.1.2).
mod tag {
    pub const OCTET_STRING: u8 = 0x04;
    pub const OID: u8 = 0x06;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    /// `[0]` and `[3]` of a `tbsCertificate`.
    pub const VERSION: u8 = 0xa0;
    pub const EXTENSIONS: u8 = 0xa3;
    /// `[2]` and `[7]` of a `GeneralName`.
    pub const DNS_NAME: u8 = 0x82;
    pub const IP_ADDRESS: u8 = 0x87;
}

/// 2.5.4.3, `id-at-commonName`.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// 2.5.29.17, `id-ce-subjectAltName`.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// What a certificate says.
#[derive(Debug)]
pub struct Certificate<'a> {
    /// Both as they are encoded, which is how they are compared.
    pub issuer: &'a [u8],
    pub subject: &'a [u8],
    pub common_name: Option<String>,
    /// Names and addresses that clients may know it by (§4.2.1.6).
    pub names: Vec<String>,
    /// The first and the last second that it holds in, since 1970.
    pub not_before: i64,
    pub not_after: i64,
    /// The `SubjectPublicKeyInfo`, as it is encoded.
    pub public_key: &'a [u8],
}

/// A certificate in DER; `None` if it is none.
pub fn certificate(der: &[u8]) -> Option<Certificate<'_>> {
    let mut outer = Reader(Reader(der).expect(tag::SEQUENCE)?);
    let mut fields = Reader(outer.expect(tag::SEQUENCE)?);
    fields.skip_if(tag::VERSION);
    // The serial number and the algorithm.
    fields.value()?;
    fields.value()?;
    let issuer = fields.value()?.whole;
    let mut validity = Reader(fields.expect(tag::SEQUENCE)?);
    let not_before = time(validity.value()?)?;
    let not_after = time(validity.value()?)?;
    let subject = fields.value()?;
    let public_key = fields.value()?.whole;
    let mut names = Vec::new();
    while let Some(field) = fields.value() {
        if field.tag == tag::EXTENSIONS {
            names = alternative_names(field.content)?;
        }
    }
    let common_name = common_name(subject.content);
    let subject = subject.whole;
    Some(Certificate { issuer, subject, common_name, names, not_before, not_after, public_key })
}

/// A value.
struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    /// With its tag and its length.
    whole: &'a [u8],
}

/// Values, one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn value(&mut self) -> Option<Value<'a>> {
        let [tag, first, rest @ ..] = self.0 else { return None };
        // X.690 §8.1.3: up to 127 itself, or else the number of bytes that it stands in.
        let (len, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        let whole = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Some(Value { tag: *tag, content, whole })
    }

    /// The content of the next value, which must have this tag.
    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.value().filter(|value| value.tag == tag).map(|value| value.content)
    }

    fn skip_if(&mut self, tag: u8) {
        if self.0.first() == Some(&tag) {
            self.value();
        }
    }
}

/// The common name in a `Name`: a sequence of sets of types and values.
fn common_name(name: &[u8]) -> Option<String> {
    let mut sets = Reader(name);
    while let Some(set) = sets.expect(tag::SET) {
        let mut attribute = Reader(Reader(set).expect(tag::SEQUENCE)?);
        if attribute.expect(tag::OID)? == COMMON_NAME {
            return Some(String::from_utf8_lossy(attribute.value()?.content).into_owned());
        }
    }
    None
}

/// The names in the extension for them, none if it is not there.
fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    let mut extensions = Reader(Reader(extensions).expect(tag::SEQUENCE)?);
    while let Some(extension) = extensions.expect(tag::SEQUENCE) {
        let mut fields = Reader(extension);
        if fields.expect(tag::OID)? != SUBJECT_ALT_NAME {
            continue;
        }
        // Whether it is critical may stand in between.
        let mut value = fields.value()?;
        if value.tag != tag::OCTET_STRING {
            value = fields.value()?;
        }
        let mut general = Reader(Reader(value.content).expect(tag::SEQUENCE)?);
        let mut names = Vec::new();
        while let Some(name) = general.value() {
            names.extend(general_name(&name));
        }
        return Some(names);
    }
    Some(Vec::new())
}

/// A name of a host or an address; others are nothing that a client connects to.
fn general_name(name: &Value<'_>) -> Option<String> {
    match name.tag {
        tag::DNS_NAME => Some(String::from_utf8_lossy(name.content).into_owned()),
        tag::IP_ADDRESS => match name.content.len() {
            4 => <[u8; 4]>::try_from(name.content).ok().map(|ip| Ipv4Addr::from(ip).to_string()),
            _ => <[u8; 16]>::try_from(name.content).ok().map(|ip| Ipv6Addr::from(ip).to_string()),
        },
        _ => None,
    }
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` (§4.1.2.5), in seconds since 1970.
fn time(value: Value<'_>) -> Option<i64> {
    let digits = value.content.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0'));
    let (year, rest) = match (value.tag, digits.len()) {
        (tag::UTC_TIME, 12) => match number(&digits[..2]) {
            year @ 50.. => (1900 + year, &digits[2..]),
            year => (2000 + year, &digits[2..]),
        },
        (tag::GENERALIZED_TIME, 14) => (number(&digits[..4]), &digits[4..]),
        _ => return None,
    };
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| number(&rest[at..at + 2]));
    if !(1..=12).contains(&month) {
        return None;
    }
    // Years begin in March here, so that the day of a leap year is the last.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = years / 4 - years / 100 + years / 400;
    let days = years * 365 + leaps + (153 * months + 2) / 5 + day - 1 - DAYS_TO_1970;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// From the first of March of the year 0 to the first of January 1970.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, seconds) in [
            ("700101000000Z", 0),
            ("19700101000000Z", 0),
            ("000229000000Z", 951_782_400),
            ("20240229235959Z", 1_709_251_199),
            ("21000301000000Z", 4_107_542_400),
            ("251231235959Z", 1_767_225_599),
            ("491231235959Z", 2_524_607_999),
            ("500101000000Z", -631_152_000),
            ("99991231235959Z", 253_402_300_799),
        ] {
            let tag = if text.len() == 13 { tag::UTC_TIME } else { tag::GENERALIZED_TIME };
            let value = |content| Value { tag, content, whole: content };
            assert_eq!(time(value(text.as_bytes())), Some(seconds), "{text}");
            assert_eq!(time(value(&text.as_bytes()[1..])), None);
            assert_eq!(time(value(text.replace('Z', "+").as_bytes())), None);
        }
    }

    #[test]
    fn every_start_of_a_certificate_is_none_and_no_byte_is_too_much() {
        let made = rcgen::generate_simple_self_signed(vec!["a.example".into(), "::1".into()]);
        let der = made.unwrap().cert.der().to_vec();
        let read = certificate(&der).expect("a certificate");
        assert_eq!(read.names, ["a.example", "::1"]);
        assert_eq!(read.issuer, read.subject);
        assert!(read.not_before < read.not_after && read.common_name.is_some());
        for len in 0..der.len() {
            assert!(certificate(&der[..len]).is_none(), "{len}");
        }
        // Whatever is wrong in it, nothing panics.
        for at in 0..der.len() {
            for byte in [0x00, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut wrong = der.clone();
                wrong[at] = byte;
                let _ = certificate(&wrong);
            }
        }
    }
}
