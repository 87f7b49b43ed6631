//! The table of paths as people and programs read it: the topics of the help, all of one path, and
//! JSON.

use super::table::{self, Group, Path};
use crate::log::json;

/// How wide the help is, in columns.
const WIDTH: usize = 80;

/// Where in a line of the help stands what a path does.
const COLUMN: usize = 30;

/// The topics of the help that are about paths, with the groups of each.
pub const TOPICS: &[(&str, &[Group])] = &[
    ("paths", &[Group::Echo, Group::Push, Group::End]),
    ("handshake", &[Group::Handshake, Group::Http]),
    ("faults", &[Group::Fault]),
];

/// The paths by their first segments alone, each once.
pub fn names(http: bool) -> Vec<&'static str> {
    let paths = table::paths().filter(|path| (path.group == Group::Http) == http);
    let mut names: Vec<_> = paths.map(|path| first(path.path)).collect();
    let mut seen = Vec::new();
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(*name);
            true
        }
    });
    names
}

fn first(path: &str) -> &str {
    let end = path[1..].find(['/', '?']).map_or(path.len(), |at| at + 1);
    &path[..end]
}

/// The help on a topic.
pub fn topic(name: &str) -> Option<String> {
    let (_, groups) = TOPICS.iter().find(|(topic, _)| *topic == name)?;
    Some(match groups {
        // There is room for all on them.
        [Group::Fault] => table::paths()
            .filter(|path| path.group == Group::Fault)
            .map(about_one)
            .collect::<Vec<_>>()
            .join("\n"),
        groups => {
            format!("{}\nbarews --help /close tells all on one, with an example\n", list(groups))
        }
    })
}

/// All on all paths.
pub fn all() -> String {
    table::paths().map(about_one).collect::<Vec<_>>().join("\n")
}

/// The paths of some groups, a line each.
fn list(groups: &[Group]) -> String {
    let mut text = String::new();
    for group in groups {
        text += &format!("{}:\n", group.heading());
        for path in table::paths().filter(|path| path.group == *group) {
            text += &format!("  {:COLUMN$} {}\n", shortened(path.path), path.does);
        }
    }
    text
}

/// All on the paths that begin as `wanted` does, such as `/close`; `None` if there are none.
pub fn about(wanted: &str) -> Option<String> {
    let wanted: Vec<_> = without_query(wanted).trim_matches('/').split('/').collect();
    let is_meant = |path: &Path| {
        let own = without_query(path.path)[1..].split('/').take_while(|own| !own.starts_with('{'));
        own.zip(&wanted).all(|(own, wanted)| own == *wanted)
    };
    let texts: Vec<_> = table::paths().filter(is_meant).map(about_one).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn about_one(path: Path) -> String {
    let faults = if path.group == Group::Fault { "; with --faults" } else { "" };
    let mut text = wrapped(0, path.path) + &wrapped(2, &format!("{}{faults}", path.does));
    if !path.bounds.is_empty() {
        text += &format!("\n{}", wrapped(2, path.bounds));
    }
    text += &format!("\n  $ {}\n", path.example);
    for line in path.output.lines() {
        text += &format!("  {line}\n");
    }
    text
}

/// The table as a JSON text.
pub fn json() -> String {
    let rows = table::paths().map(|path| {
        json::object(&[
            ("path", json::string(path.path)),
            ("does", json::string(path.does)),
            ("bounds", json::string(path.bounds)),
            ("example", json::string(path.example)),
            ("output", json::string(path.output)),
            ("group", json::string(path.group.name())),
            ("faults", (path.group == Group::Fault).to_string()),
        ])
    });
    format!("[{}]\n", rows.collect::<Vec<_>>().join(",\n"))
}

/// Text in lines that fit, all of them indented.
fn wrapped(indent: usize, text: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        if column > 0 && column + 1 + word.len() <= WIDTH {
            lines += " ";
            column += 1;
        } else {
            lines += &format!("{}{:indent$}", if column > 0 { "\n" } else { "" }, "");
            column = indent;
        }
        lines += word;
        column += word.len();
    }
    lines + "\n"
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// A path for a line of the help, which has no room for all that a query may say.
fn shortened(path: &str) -> String {
    match path.split_once('?') {
        Some((short, _)) if path.len() > COLUMN => format!("{short}?..."),
        _ => path.to_owned(),
    }
}
