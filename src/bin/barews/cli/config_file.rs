//! A file of options (`--config`): lines as they could stand in the environment.
//!
//! What is allowed is what systemd (`EnvironmentFile=`) and Docker (`--env-file`) read alike:
//! `NAME=VALUE`, comments that are a line of their own, no space around the name. Only quotes around a
//! whole value are more: systemd takes them off, and so does this. A line that is anything
//! else is an error, since what is passed over in silence is a limit that is not there.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::features::{SWITCHES, lacking, without};
use super::settings::{PREFIX, SETTINGS, Setting};

/// More than anybody's options are.
const MAX_FILE_LEN: u64 = 64 << 10;

/// The variable that names the file, which it cannot do itself.
pub const CONFIG: &str = "BAREWS_CONFIG";

/// What was read.
#[derive(Debug, Default)]
pub struct ConfigFile {
    variables: Vec<Variable>,
}

#[derive(Debug)]
struct Variable {
    name: String,
    value: String,
    /// `FILE:LINE: NAME`, for errors.
    source: String,
}

impl ConfigFile {
    /// Reads a file, or tells what is wrong with it and where.
    pub fn read(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let mut text = Vec::new();
        let read = File::open(path).and_then(|file| {
            // One byte more, to see that there is more.
            file.take(MAX_FILE_LEN + 1).read_to_end(&mut text)
        });
        read.map_err(|error| format!("cannot read {name}: {error}"))?;
        if text.len() as u64 > MAX_FILE_LEN {
            return Err(format!("{name} has more than {MAX_FILE_LEN} bytes"));
        }
        let text = String::from_utf8(text).map_err(|_| format!("{name} is not UTF-8"))?;
        Self::parse(&text, &name.to_string())
    }

    fn parse(text: &str, file: &str) -> Result<Self, String> {
        let mut variables = Vec::new();
        // Some editors begin a file so.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = format!("{file}:{}", i + 1);
            let wrong = |wrong: String| format!("{place}: {wrong}");
            // Not the line: it may be half a password.
            let (name, value) =
                line.split_once('=').ok_or_else(|| wrong("this is not NAME=VALUE".to_owned()))?;
            check(name).map_err(wrong)?;
            let value =
                unquoted(value).map_err(|what| wrong(format!("{name}: {what}")))?.to_owned();
            let source = format!("{place}: {name}");
            variables.push(Variable { name: name.to_owned(), value, source });
        }
        Ok(Self { variables })
    }

    /// The value of a variable, and where it stands; the last one, as it is with all others who
    /// read such files.
    pub fn value(&self, name: &str) -> Option<(&str, &str)> {
        let variable = self.variables.iter().rfind(|variable| variable.name == name)?;
        (!variable.value.is_empty()).then_some((&variable.source, &variable.value))
    }
}

/// Whether there is such a variable.
fn check(name: &str) -> Result<(), String> {
    // What is no name is not repeated, nor what is like none of ours: it may be half a secret.
    if name.contains(char::is_whitespace) {
        return Err("there is no space in a name, nor around the =".to_owned());
    }
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err("this is not NAME=VALUE".to_owned());
    }
    if name == CONFIG {
        return Err(format!("{CONFIG} names a file and cannot stand in one"));
    }
    let is_option = SETTINGS.iter().any(|setting| setting.variable() == name);
    let rest = name.strip_prefix(PREFIX);
    // Who turns something on is told how to build it by `environment`, as anywhere.
    if name == "PORT" || is_option || rest.is_some_and(is_switch) {
        return Ok(());
    }
    if let Some(feature) = rest.and_then(lacking) {
        return Err(without(name, feature));
    }
    Err(match Setting::nearest(rest.unwrap_or(name)) {
        Some(setting) => format!("there is no {name}, but {}", setting.variable()),
        None if rest.is_some() => format!("there is no {name}"),
        None => "there is no option of this name".to_owned(),
    })
}

fn is_switch(rest: &str) -> bool {
    SWITCHES.iter().any(|switch| switch[PREFIX.len()..] == *rest)
}

/// A value without the quotes around it.
fn unquoted(value: &str) -> Result<&str, &'static str> {
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return Ok(value);
    };
    match value[1..].strip_suffix(quote) {
        Some(inside) if !inside.contains([quote, '\\']) => Ok(inside),
        Some(_) => Err("quotes and backslashes within quotes are not read alike by all"),
        None => Err("the quote at its start is not closed at its end"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        ConfigFile::parse(text, "a.conf").unwrap_err()
    }

    #[test]
    fn what_systemd_and_docker_read_alike() {
        let text = "\u{feff}# comment\r\n\n  BAREWS_LOG=json\nBAREWS_ORIGIN=\"https://a https://b\"\n\
                    BAREWS_GRACE='1s'\nBAREWS_GRACE=2s\nBAREWS_FAULTS=\nPORT=80";
        let file = ConfigFile::parse(text, "a.conf").unwrap();
        assert_eq!(file.value("BAREWS_LOG"), Some(("a.conf:3: BAREWS_LOG", "json")));
        assert_eq!(file.value("BAREWS_ORIGIN").unwrap().1, "https://a https://b");
        assert_eq!(file.value("BAREWS_GRACE"), Some(("a.conf:6: BAREWS_GRACE", "2s")));
        assert_eq!(file.value("BAREWS_FAULTS"), None);
        assert_eq!(file.value("PORT").unwrap().1, "80");
    }

    #[test]
    fn a_wrong_line_is_told_with_its_number() {
        for (text, told) in [
            ("\nBAREWS_LOG", "a.conf:2: this is not NAME=VALUE"),
            ("MAX_MESSAGE=1M", "a.conf:1: there is no MAX_MESSAGE, but BAREWS_MAX_MESSAGE"),
            (
                "BAREWS_MAX_MESAGE=1",
                "a.conf:1: there is no BAREWS_MAX_MESAGE, but BAREWS_MAX_MESSAGE",
            ),
            ("COLOUR=1", "a.conf:1: there is no option of this name"),
            ("BAREWS_COLOUR=1", "a.conf:1: there is no BAREWS_COLOUR"),
            ("c2VjcmV0IG9m=", "a.conf:1: there is no option of this name"),
            ("redis://:hunter2@h/?x=1", "a.conf:1: this is not NAME=VALUE"),
            ("BAREWS_\u{1b}[31mX=1", "a.conf:1: this is not NAME=VALUE"),
            ("\u{feff}BAREWS_LOG", "a.conf:1: this is not NAME=VALUE"),
            ("BAREWS_CONFIG=b", "a.conf:1: BAREWS_CONFIG names a file and cannot stand in one"),
            ("export BAREWS_LOG=off", "a.conf:1: there is no space in a name, nor around the ="),
            (
                "BAREWS_LOG=\"off",
                "a.conf:1: BAREWS_LOG: the quote at its start is not closed at its end",
            ),
            (
                "BAREWS_LOG='o\\ff'",
                "a.conf:1: BAREWS_LOG: quotes and backslashes within quotes are not read alike by all",
            ),
            (
                "BAREWS_LOG=\"",
                "a.conf:1: BAREWS_LOG: the quote at its start is not closed at its end",
            ),
        ] {
            assert_eq!(wrong(text), told);
        }
    }

    /// Nothing is read for ever, and a folder is no file.
    #[cfg(unix)]
    #[test]
    fn a_file_that_is_none() {
        let told = |path: &str| ConfigFile::read(Path::new(path)).unwrap_err();
        assert_eq!(told("/dev/zero"), "/dev/zero has more than 65536 bytes");
        assert!(told("/").starts_with("cannot read /: "));
        assert!(told("/nowhere/a").starts_with("cannot read /nowhere/a: "));
        assert!(ConfigFile::read(Path::new("/dev/null")).unwrap().value("PORT").is_none());
    }
}
