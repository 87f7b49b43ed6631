//! Nothing is too large to be read at once.

use std::collections::BTreeMap;

use crate::tree;

/// The lines of a file, its tests and comments included.
const MAX_FILE: usize = 400;
/// The lines of a function, from its `fn` to its last brace.
const MAX_FUNCTION: usize = 60;
/// The files of a folder.
const MAX_FOLDER: usize = 12;

/// Where all three hold.
const FOLDERS: [&str; 2] = ["src", "benches"];

#[test]
fn files_functions_and_folders_are_small() {
    let mut wrong = Vec::new();
    let mut folders = BTreeMap::new();
    for file in FOLDERS.iter().flat_map(|folder| tree::rust(folder)) {
        let (name, text) = (tree::name(&file), tree::read(&file));
        let functions = functions(&text);
        *folders.entry(tree::name(file.parent().unwrap())).or_insert(0) += 1;
        let lines = text.lines().count();
        if lines > MAX_FILE {
            wrong.push(format!("{name} has {lines} lines, and {MAX_FILE} is the most"));
        }
        let long = functions.iter().filter(|function| function.lines > MAX_FUNCTION);
        wrong.extend(long.map(|Function { name: function, line, lines }| {
            format!("{name}:{line}: {function} has {lines} lines, and {MAX_FUNCTION} is the most")
        }));
    }
    let full = folders.iter().filter(|(_, files)| **files > MAX_FOLDER);
    wrong.extend(full.map(|(folder, files)| {
        format!("{folder} has {files} files, and {MAX_FOLDER} is the most")
    }));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[derive(Debug, PartialEq)]
struct Function {
    name: String,
    /// That of its `fn`.
    line: usize,
    lines: usize,
}

/// The functions that have a body.
fn functions(text: &str) -> Vec<Function> {
    let code = without_literals(text);
    let function = |at: usize| {
        let rest = &code[at + "fn ".len()..];
        let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        let mut open: Vec<char> = Vec::new();
        for (end, c) in rest.char_indices() {
            match c {
                '(' | '[' | '{' => open.push(c),
                ')' | ']' => drop(open.pop()),
                '}' => {
                    open.pop();
                    if open.is_empty() {
                        let lines = rest[..end].matches('\n').count() + 1;
                        let line = tree::line_of(&code, at);
                        return Some(Function { name: name.to_owned(), line, lines });
                    }
                }
                // Declared, not defined.
                ';' if open.is_empty() => return None,
                _ => {}
            }
        }
        panic!("the braces of {name} do not match");
    };
    tree::find(&code, "fn ").filter_map(function).collect()
}

/// The code with blanks in place of comments and of what stands between quotes: their braces are
/// not the code's.
fn without_literals(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let identifier = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let len = literal(rest, identifier).unwrap_or(0);
        if len == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
            out.extend(rest[..len].chars().map(blank));
            rest = &rest[len..];
        }
    }
    out
}

/// How many bytes of `rest` are a comment or a literal, if it begins with one.
fn literal(rest: &str, in_identifier: bool) -> Option<usize> {
    let until = |text: &str, end: &str| text.find(end).map_or(text.len(), |at| at + end.len());
    if rest.starts_with("//") {
        return rest.find('\n').or(Some(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(until(rest, "*/"));
    }
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !in_identifier)
        && let Some(quote) = raw.find(|c| c != '#').filter(|&at| raw[at..].starts_with('"'))
    {
        let end = format!("\"{}", &raw[..quote]);
        return Some(1 + quote + 1 + until(&raw[quote + 1..], &end));
    }
    // A lifetime has no second quote.
    let quote = match rest.as_bytes() {
        [b'"', ..] => '"',
        [b'\'', b'\\', ..] => '\'',
        [b'\'', ..] if rest.chars().nth(2) == Some('\'') => '\'',
        _ => return None,
    };
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|&(_, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map(|(at, _)| at + 1)
}

#[test]
fn the_lines_of_functions_are_counted() {
    let code = r##"
trait Trait<'a> {
    fn declared(array: [u8; 2]) -> [u8; 3];
    fn one(&'a self) {}
}
fn two() -> [u8; 1] {
    let inner = |_: fn(u8)| { "}" }; /* } */ }
// fn in_a_comment() {
fn braces() {
    fn inside() {
        ('{', '\'', '}', "\"{", r#"{"{"#, b'{', r"\");
    }
    'a: loop { break 'a }
}
"##;
    let found: Vec<_> = functions(code).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
    let expected = [("one", 4, 1), ("two", 6, 2), ("braces", 9, 6), ("inside", 10, 3)];
    let expected = expected.map(|(name, line, lines)| (name.to_owned(), line, lines));
    assert_eq!(found, expected);
}
