//! The text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write};

/// A family of metrics that others make: its name, its type, what it is, and its values behind their
/// labels.
#[cfg(any(feature = "backplane", feature = "deflate", feature = "tls"))]
pub type Family<V> = (&'static str, &'static str, &'static str, Vec<(&'static str, V)>);

/// Lines of metrics, whose names begin with the program's but where it is said otherwise.
#[derive(Default)]
pub struct Text(String);

impl Text {
    pub fn header(&mut self, name: &str, kind: &str, help: &str) {
        self.plain_header(&format!("barews_{name}"), kind, help);
    }

    pub fn line(&mut self, name: &str, value: impl Display) {
        self.plain_line(&format!("barews_{name}"), value);
    }

    /// A family of one value.
    pub fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.header(name, kind, help);
        self.line(name, value);
    }

    /// A name that every program has for it.
    pub fn plain_header(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// The same.
    pub fn plain_line(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name} {value}");
    }

    /// Families of metrics that others have made.
    #[cfg(any(feature = "backplane", feature = "deflate", feature = "tls"))]
    pub fn families<V: Display>(&mut self, families: impl Iterator<Item = Family<V>>) {
        for (name, kind, help, values) in families {
            self.header(name, kind, help);
            for (label, value) in values {
                self.line(&format!("{name}{label}"), value);
            }
        }
    }

    pub fn into_string(self) -> String {
        self.0
    }
}
