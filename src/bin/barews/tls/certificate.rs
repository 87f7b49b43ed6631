//! What is told of a certificate: for whom, until when, and how to recognise it.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use barews::rustls::SupportedCipherSuite;
use barews::rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::der;
use crate::log::{Field, date_time, escape, json};

/// How many of its names a line shows.
const MAX_NAMES: usize = 8;

/// A certificate, for people.
#[derive(Debug, Clone)]
pub struct Description {
    /// Whom it is for: names and addresses that it may be known by.
    pub names: Vec<String>,
    /// In seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    /// Of the whole certificate, by SHA-256: `AB:CD:…`, as browsers and `openssl` show it.
    pub fingerprint: String,
    /// Of its public key, by SHA-256 in base64: as Chromium wants it.
    pub pin: String,
}

impl Description {
    pub fn new(der: &[u8], certificate: &der::Certificate<'_>) -> Self {
        let der::Certificate { names, common_name, not_before, not_after, public_key, .. } =
            certificate;
        let names = match names.is_empty() {
            true => common_name.iter().cloned().collect(),
            false => names.clone(),
        };
        let digits: Vec<_> = sha256(der).iter().map(|byte| format!("{byte:02X}")).collect();
        Self {
            names,
            not_before: *not_before,
            not_after: *not_after,
            fingerprint: digits.join(":"),
            pin: base64(&sha256(public_key)),
        }
    }

    /// For a line: `certificate for a.example until 2027-02-27T10:00:00Z, SHA-256 AB:CD:…`.
    pub fn shown(&self) -> String {
        let names = self.names.iter().take(MAX_NAMES).map(|name| escape::shown(name));
        let mut text = format!("certificate for {}", names.collect::<Vec<_>>().join(", "));
        if self.names.len() > MAX_NAMES {
            // Writing to a string does not fail.
            let _ = write!(text, " and {} more", self.names.len() - MAX_NAMES);
        }
        let until = date(self.not_after);
        format!("{text} until {until}, SHA-256 {}, pin {}", self.fingerprint, self.pin)
    }

    /// The same for a line in JSON.
    pub fn fields(&self) -> Vec<Field> {
        let names =
            self.names.iter().take(MAX_NAMES).map(|name| json::string(&escape::shown(name)));
        vec![
            ("names", format!("[{}]", names.collect::<Vec<_>>().join(","))),
            ("not_before", json::string(&date(self.not_before))),
            ("not_after", json::string(&date(self.not_after))),
            ("sha256", json::string(&self.fingerprint)),
            ("pin", json::string(&self.pin)),
        ]
    }

    /// What clients will have against its dates.
    pub fn warning(&self, now: SystemTime) -> Option<String> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        if now > self.not_after {
            return Some(format!("has expired on {}: clients refuse it", date(self.not_after)));
        }
        (now < self.not_before).then(|| {
            format!("holds only from {} on: clients refuse it until then", date(self.not_before))
        })
    }
}

fn date(seconds: i64) -> String {
    // Nothing to tell apart that has ended before 1970.
    format!("{}Z", date_time(u64::try_from(seconds).unwrap_or(0)))
}

fn base64(bytes: &[u8]) -> String {
    // Four digits for each three bytes.
    let mut digits = vec![0; bytes.len().div_ceil(3) * 4];
    let len = STANDARD.encode_slice(bytes, &mut digits).unwrap_or(0);
    digits.truncate(len);
    String::from_utf8(digits).unwrap_or_default()
}

/// The library for TLS has it anyway.
fn sha256(bytes: &[u8]) -> Vec<u8> {
    let common = match TLS13_AES_128_GCM_SHA256 {
        SupportedCipherSuite::Tls13(suite) => &suite.common,
        SupportedCipherSuite::Tls12(suite) => &suite.common,
    };
    common.hash_provider.hash(bytes).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn description(not_before: i64, not_after: i64) -> Description {
        let der = der::Certificate {
            issuer: &[],
            subject: &[],
            common_name: Some("a\u{202e}".to_owned()),
            names: Vec::new(),
            not_before,
            not_after,
            public_key: b"abc",
        };
        Description::new(b"abc", &der)
    }

    #[test]
    fn a_fingerprint_is_that_of_fips_180() {
        let description = description(0, 951_782_400);
        let start = "certificate for a\u{202e} until 2000-02-29T00:00:00Z, SHA-256 BA:78:16:BF:";
        assert!(description.shown().starts_with(start), "{}", description.shown());
        assert_eq!(description.fingerprint.len(), 32 * 3 - 1);
        assert_eq!(description.pin, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }

    #[test]
    fn dates_that_clients_mind() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let description = description(1_000, 2_000);
        let warning = |seconds| description.warning(at(seconds)).unwrap_or_default();
        assert!(warning(999).starts_with("holds only from 1970-01-01T00:16:40Z"));
        assert_eq!((warning(1_000), warning(2_000)), (String::new(), String::new()));
        assert!(warning(2_001).starts_with("has expired on 1970-01-01T00:33:20Z"));
    }

    #[test]
    fn a_line_has_a_bound() {
        let mut long = description(0, 0);
        long.names = vec!["x".repeat(10_000); 100];
        assert!(long.shown().len() < MAX_NAMES * 210 + 300);
        assert!(long.shown().contains("… and 92 more until "));
    }
}
