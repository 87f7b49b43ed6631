//! Completions for shells, made of the same tables as the help.
//!
//! Each shell has its own language, but what there is to complete is the same: an option; its value,
//! if that is one of a few or a file; a command, and what stands behind it. Nothing is asked of the
//! program when Tab is pressed, so what is printed belongs to the build that printed it.

use super::help::{COMMANDS, TOPICS};
use super::hint::nearest;
use super::settings::{SETTINGS, Setting, is_not};
use crate::routes::route::listing;

/// What stands behind `completions`.
pub const RIGHT: &str = "bash, zsh or fish";

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// An option that is none of the settings: its names, and what it does.
const OTHERS: [(&str, &str, &str); 3] = [
    ("-h", "--help", "print help, also on a topic"),
    ("", "--man", "print the manual page"),
    ("-V", "--version", "print the version"),
];

/// What may stand behind an option.
enum Value {
    None,
    /// Nobody can guess it.
    Any,
    Choice(&'static [&'static str]),
    File,
}

/// The script for a shell.
pub fn script(shell: &str) -> Result<String, String> {
    match shell {
        "bash" => Ok(bash()),
        "zsh" => Ok(zsh()),
        "fish" => Ok(fish()),
        _ => {
            let near = nearest(shell, SHELLS.into_iter());
            let near = near.map_or(String::new(), |near| format!("; perhaps {near}"));
            Err(format!("completions: {}{near}", is_not(shell, RIGHT)))
        }
    }
}

fn value(setting: &Setting) -> Value {
    match (setting.is_flag(), setting.value) {
        (true, _) => Value::None,
        (_, "FILE") => Value::File,
        _ if !setting.choices().is_empty() => Value::Choice(setting.choices()),
        _ => Value::Any,
    }
}

/// What there is help on: topics, and paths.
fn topics() -> String {
    let paths = listing::names(false).into_iter();
    TOPICS.iter().copied().chain(paths).collect::<Vec<_>>().join(" ")
}

fn commands() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|(name, ..)| *name)
}

fn bash() -> String {
    let names = SETTINGS.iter().map(|setting| setting.name);
    let others = OTHERS.iter().flat_map(|(short, long, _)| [*short, *long]);
    let options: Vec<_> = names.chain(others).filter(|name| !name.is_empty()).collect();
    let mut cases = format!("        -h|--help) words='{}' ;;\n", topics());
    let named = |wanted: fn(&Value) -> bool| {
        let settings = SETTINGS.iter().filter(|setting| wanted(&value(setting)));
        settings.map(|setting| setting.name).collect::<Vec<_>>().join("|")
    };
    for setting in SETTINGS {
        if let Value::Choice(choices) = value(setting) {
            cases += &format!("        {}) words='{}' ;;\n", setting.name, choices.join(" "));
        }
    }
    let (files, any) =
        (named(|value| matches!(value, Value::File)), named(|value| matches!(value, Value::Any)));
    format!(
        r#"# Completions of barews for bash, made by: barews completions bash
_barews() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} words=
    COMPREPLY=()
    # The sign of equality is a word of its own.
    if [[ $cur == '=' ]]; then
        cur=
    elif [[ $prev == '=' ]]; then
        prev=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    case $prev in
{cases}        {files})
            local IFS=$'\n'
            compopt -o filenames 2>/dev/null
            COMPREPLY=($(compgen -f -- "$cur"))
            return
            ;;
        {any}) return ;;
    esac
    if [[ -z $words && ${{COMP_WORDS[1]}} == completions ]]; then
        words='{shells}'
    elif [[ -z $words && ${{COMP_WORDS[1]}} == help && $COMP_CWORD -gt 1 ]]; then
        words='{topics}'
    elif [[ -z $words ]]; then
        words='{options}'
        [[ $COMP_CWORD != 1 ]] || words+=' {commands}'
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -F _barews barews
"#,
        shells = SHELLS.join(" "),
        topics = topics(),
        options = options.join(" "),
        commands = commands().collect::<Vec<_>>().join(" "),
    )
}

fn zsh() -> String {
    let mut options = String::new();
    for setting in SETTINGS {
        let (name, help) = (setting.name, in_brackets(setting.help));
        let many = if setting.is_list() { "*" } else { "" };
        let spec = match value(setting) {
            Value::None => format!("{many}{name}{help}"),
            Value::Any => format!("{many}{name}={help}:{}: ", setting.value),
            Value::Choice(choices) => {
                format!("{many}{name}={help}:{}:({})", setting.value, choices.join(" "))
            }
            Value::File => format!("{many}{name}={help}:{}:_files", setting.value),
        };
        options += &format!("        '{}'\n", in_quotes(&spec));
    }
    for (short, long, does) in OTHERS {
        let value =
            if long == "--help" { format!("::TOPIC:({})", topics()) } else { String::new() };
        for name in [short, long].into_iter().filter(|name| !name.is_empty()) {
            options += &format!("        '(- *){name}{}{value}'\n", in_brackets(does));
        }
    }
    let commands: Vec<_> =
        COMMANDS.iter().map(|(name, _, does)| format!(r#"{name}\:"{does}""#)).collect();
    format!(
        r#"#compdef barews
# Completions of barews for zsh, made by: barews completions zsh
_barews() {{
    local -a options
    options=(
{options}    )
    case $words[2] in
        completions) _arguments '1: :(completions)' '2:SHELL:({shells})' ;;
        help) _arguments '1: :(help)' '2:TOPIC:({topics})' ;;
        *) _arguments $options '1:command or ADDR:(({commands}))' '*:ADDR: ' ;;
    esac
}}
if [[ $funcstack[1] == _barews ]]; then
    _barews "$@"
else
    compdef _barews barews
fi
"#,
        shells = SHELLS.join(" "),
        topics = topics(),
        commands = commands.join(" "),
    )
}

fn fish() -> String {
    let mut text = "# Completions of barews for fish, made by: barews completions fish\n\
                    complete -c barews -f\n"
        .to_owned();
    for setting in SETTINGS {
        let value = match value(setting) {
            Value::None => String::new(),
            Value::Any => " -x".to_owned(),
            Value::Choice(choices) => format!(" -x -a '{}'", choices.join(" ")),
            Value::File => " -r -F".to_owned(),
        };
        let help = setting.help.replace('\\', r"\\").replace('\'', r"\'");
        text += &format!("complete -c barews -l {}{value} -d '{help}'\n", &setting.name[2..]);
    }
    for (short, long, does) in OTHERS {
        let short = short.strip_prefix('-').map_or(String::new(), |short| format!(" -s {short}"));
        let topics =
            if long == "--help" { format!(" -x -a '{}'", topics()) } else { String::new() };
        text += &format!("complete -c barews{short} -l {}{topics} -d '{does}'\n", &long[2..]);
    }
    for (name, _, does) in COMMANDS {
        text += &format!("complete -c barews -n __fish_use_subcommand -a {name} -d '{does}'\n");
    }
    for (command, words) in [("completions", SHELLS.join(" ")), ("help", topics())] {
        let behind = format!("__fish_seen_subcommand_from {command}");
        text += &format!("complete -c barews -n '{behind}' -a '{words}'\n");
    }
    text
}

/// What zsh shows beside an option.
fn in_brackets(text: &str) -> String {
    format!("[{}]", text.replace('[', r"\[").replace(']', r"\]").replace(':', r"\:"))
}

/// Text within single quotes, for zsh.
fn in_quotes(text: &str) -> String {
    text.replace('\'', r"'\''")
}
