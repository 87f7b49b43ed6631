//! Completions, in the shells that they are for. A machine without one of them leaves that one out, but
//! where `SHELLS_REQUIRED` is set, as in CI.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::command;

/// A folder with the completions for a shell in it; removed at the end.
struct Folder(PathBuf);

/// Of folders, which tests that run at once each have for themselves.
static FOLDERS: AtomicUsize = AtomicUsize::new(0);

impl Folder {
    fn new(shell: &str) -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("barews-{shell}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("create_dir");
        let output = command(&["completions", shell]).output().expect("run");
        assert!(output.status.success(), "{output:?}");
        std::fs::write(path.join("_barews"), output.stdout).expect("write");
        std::fs::write(path.join("a b.conf"), "").expect("write");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a script prints that a shell runs in a folder with the completions; `None` without the shell.
fn run(shell: &str, args: &[&str], script: &str) -> Option<String> {
    if Command::new(shell).arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("SHELLS_REQUIRED").is_none(), "there is no {shell}");
        eprintln!("there is no {shell}");
        return None;
    }
    // The terminal is for bash.
    let shell = if shell == "script" { "bash" } else { shell };
    let folder = Folder::new(shell);
    let mut command = Command::new(shell);
    command.args(args).args(["-c", script]).current_dir(&folder.0).stdin(Stdio::null());
    // Nothing of the user's.
    let output = command.env("HOME", &folder.0).env_remove("ZDOTDIR").output().expect("run");
    let stdout = String::from_utf8(output.stdout).expect("text");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{shell}: {stdout}{stderr}");
    Some(stdout)
}

/// What is typed, and one that must be among those it is completed to.
const TYPED: [(&str, &str); 8] = [
    ("--max-m", "--max-message"),
    ("--tim", ""),
    ("healthc", "healthcheck"),
    ("--log j", "json"),
    ("--help time", "timeouts"),
    ("completions f", "fish"),
    ("help /clo", "/close"),
    ("--config a", "a b.conf"),
];

#[test]
fn bash() {
    for (typed, completed) in TYPED.into_iter().chain([("--log = j", "json")]) {
        // As bash itself calls it.
        let script = format!(
            "source ./_barews; COMP_WORDS=(barews {typed}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
             _barews; printf '%s\\n' \"${{COMPREPLY[@]-}}\""
        );
        let Some(printed) = run("bash", &["--norc", "--noprofile"], &script) else { return };
        assert_eq!(printed.trim_end(), completed, "{typed}");
    }
    // Every option, and nothing else, where there are no commands any more.
    let script = "source ./_barews; COMP_WORDS=(barews --faults -); COMP_CWORD=2; _barews
                  printf '%s\\n' \"${COMPREPLY[@]}\"";
    let printed = run("bash", &["--norc", "--noprofile"], script).expect("there is one");
    let help = command(&["--help", "all"]).output().expect("run");
    let all = String::from_utf8(help.stdout).expect("text");
    let options: Vec<_> = printed.lines().filter(|line| line.starts_with("--")).collect();
    assert!(options.len() > 30, "{options:?}");
    let others = ["--help", "--man", "--version"];
    for option in options {
        assert!(all.contains(option) || others.contains(&option), "{option}");
    }
}

/// The key itself, on a terminal that `script` makes.
#[cfg(target_os = "linux")]
#[test]
fn bash_on_a_terminal() {
    let typed = concat!(
        r#"barews() { echo "<$*>"; }\nsource ./_barews\n"#,
        r"barews --max-m\t1M --log=js\t --config a\\ b\t\nexit\n"
    );
    let bash = "TERM=dumb exec bash --norc --noprofile -i";
    let script = format!("printf '{typed}' | script -qec '{bash}' /dev/null");
    let Some(printed) = run("script", &[], &script) else { return };
    assert!(printed.contains("<--max-message 1M --log=json --config a b.conf>"), "{printed:?}");
}

#[test]
fn fish() {
    for (typed, completed) in TYPED {
        let script = format!("source ./_barews; complete -C 'barews {typed}'");
        let Some(printed) = run("fish", &["--no-config"], &script) else { return };
        let first = printed.lines().next().unwrap_or_default();
        // Behind it stands what it does.
        let first = first.split('\t').next().unwrap_or_default().replace('\\', "");
        assert_eq!(first, completed, "{typed}: {printed}");
    }
}

/// zsh completes only where it believes to have a terminal, so another one gives it one, and has it
/// print what it finds: `<word>`.
const ZSH: &str = r#"
zmodload zsh/zpty
export TERM=dumb
zpty tab zsh -f -i
zpty -w tab "fpath=(${(q)PWD} \$fpath); autoload -U compinit; compinit -u -D"
zpty -w tab 'compadd() {
    builtin compadd -O found "$@"
    (( $#found )) && print -rl -- "<"$^found">"
    builtin compadd "$@"
}'
zpty -w tab 'tab() { zle complete-word; print -r "<e""nd>" }; zle -N tab; bindkey "^I" tab'
zpty -w tab 'print -r "<rea""dy>"'
zpty -r tab seen '*<ready>*'
zpty -n -w tab "barews $TYPED"$'\t'
zpty -r tab seen '*<end>*'
print -r -- "$seen"
zpty -d tab
"#;

#[test]
fn zsh() {
    let Some(_) = run("zsh", &["-f"], "zsh -n ./_barews") else { return };
    for (typed, completed) in TYPED.into_iter().chain([("--log=j", "json")]) {
        let script = format!("TYPED='{typed}'\n{ZSH}");
        let printed = run("zsh", &["-f"], &script).expect("there is one");
        let is_there = printed.contains(&format!("<{completed}>"));
        let is_all = completed.is_empty() && !printed.contains("<-");
        assert!(is_there || is_all, "{typed}: {printed:?}");
    }
}
