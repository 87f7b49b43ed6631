//! The command line, and the environment behind it.
//!
//! ```text
//! arguments ──> parse ──> settings ── values ──> Options      wrong: one line, with what would be right
//! environment ────┤          └──────> help, man, completions  (hint: the name that was meant;
//! config_file ────┘                                           features: what this build lacks)
//! ```
//!
//! Each option is one row in `settings`, from which the parser, the environment, the help, the
//! manual page and the completions of shells are made. It imports what options are about: addresses from `os`, paths from
//! `routes`, formats from `log`.

mod hint;
mod options;
pub mod values;
mod features;
mod settings;
mod config_file;
mod environment;
mod help;
mod man;
mod completions;

use std::ffi::OsString;

use config_file::{CONFIG, ConfigFile};
use environment::{Environment, Variables};
pub use features::BUILT_IN;
pub use options::{Behaviour, Engine, Options};
use settings::{SETTINGS, is_not};

use crate::os::address::Address;

/// What the user asks for.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Serve(Box<Options>),
    /// Ask a server whether it is up: this one, or the one that would be started so.
    Check(Option<String>, Box<Options>),
    /// Print this, and no more.
    Print(String),
}

/// What arguments are, but for those behind `help` and `completions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Of a server: beside options there are addresses.
    Serve,
    /// Of `healthcheck`: a URL.
    Check,
}

/// Reads the arguments, the program's name left out, and the environment for what they leave open.
pub fn parse(args: impl Iterator<Item = OsString>, env: &Environment) -> Result<Command, String> {
    let args =
        args.map(|arg| arg.into_string().map_err(|arg| format!("{} is not UTF-8", arg.display())));
    let args = args.collect::<Result<Vec<_>, _>>()?;
    let (first, rest) = args.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
    match (first, rest) {
        ("healthcheck", rest) => parse_options(Role::Check, rest, env),
        ("help", []) => help::text(None).map(Command::Print),
        ("help", [topic]) => help::text(Some(topic)).map(Command::Print),
        ("help", _) => Err("help is on one topic at a time".to_owned()),
        ("completions", [option]) if option == "-h" || option == "--help" => {
            help::text(Some(first)).map(Command::Print)
        }
        ("completions", [shell]) => completions::script(shell).map(Command::Print),
        ("completions", _) => Err(format!("completions needs {}", completions::RIGHT)),
        _ => parse_options(Role::Serve, &args, env),
    }
}

fn parse_options(role: Role, args: &[String], env: &Environment) -> Result<Command, String> {
    let mut options = Options::default();
    let mut given = Vec::new();
    let mut url = None;
    let mut args = args.iter();
    let mut no_more_options = false;
    while let Some(arg) = args.next() {
        // A value stands behind a sign of equality or in the next argument.
        let is_option = arg.starts_with('-') && !no_more_options;
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) if is_option => (name, Some(value)),
            _ => (&**arg, None),
        };
        match name {
            _ if !is_option && role == Role::Check => match url.replace(arg.clone()) {
                None => {}
                Some(_) => return Err(format!("{arg:?} is one URL too many")),
            },
            _ if !is_option => {
                options.listen.push(Address::parse(arg).map_err(|right| no_address(arg, right))?);
                given.push("--listen");
            }
            "--" if value.is_none() => no_more_options = true,
            "-h" | "--help" => {
                // What looks like an option is no topic.
                let next = args.next().map(|next| &**next).filter(|next| !next.starts_with('-'));
                let own = (role == Role::Check).then_some("healthcheck");
                return help::text(value.or(next).or(own)).map(Command::Print);
            }
            "--man" => return Ok(Command::Print(man::man())),
            "-V" | "--version" => return Ok(Command::Print(version())),
            _ => {
                let setting = SETTINGS.iter().find(|setting| setting.name == name);
                let setting = setting.ok_or_else(|| no_option(name))?;
                let value = match value {
                    Some(value) => value,
                    None if setting.is_flag() => "1",
                    None => {
                        args.next().ok_or_else(|| format!("{name} needs a {}", setting.value))?
                    }
                };
                setting.apply(&mut options, name, value)?;
                given.push(setting.name);
            }
        }
    }
    read_variables(&mut options, given, env)?;
    Ok(match role {
        Role::Serve => Command::Serve(Box::new(options)),
        Role::Check => Command::Check(url, Box::new(options)),
    })
}

/// Reads the environment, and the file that the arguments or it name, for what was not given.
fn read_variables(
    options: &mut Options,
    mut given: Vec<&str>,
    env: &Environment,
) -> Result<(), String> {
    let config = SETTINGS.iter().find(|setting| setting.variable() == CONFIG);
    if let Some(config) = config.filter(|config| !given.contains(&config.name)) {
        Variables::new(env, ConfigFile::default()).read_one(options, config)?;
        given.push(config.name);
    }
    let file = options.config_file.as_deref().map(ConfigFile::read).transpose()?;
    let open = SETTINGS.iter().filter(|setting| !given.contains(&setting.name));
    Variables::new(env, file.unwrap_or_default()).read(options, open)?;
    #[cfg(feature = "deflate")]
    options.set_compression();
    Ok(())
}

/// The version, and behind it what is in this build.
fn version() -> String {
    let features = match features::BUILT_IN {
        [] => String::new(),
        features => format!(" ({})", features.join(", ")),
    };
    format!("barews {}{features}\n", env!("CARGO_PKG_VERSION"))
}

fn no_option(name: &str) -> String {
    if let Some(feature) = name.strip_prefix("--").and_then(features::lacking) {
        return features::without(name, feature);
    }
    let settings = SETTINGS.iter().map(|setting| &setting.name[2..]);
    let names = settings.chain(["help", "man", "version"]);
    match hint::nearest(name.trim_start_matches('-'), names) {
        Some(right) => format!("there is no option {name}, but --{right}"),
        None => format!("there is no option {name}"),
    }
}

/// What is wrong with an argument that is no address: it may be a command.
fn no_address(arg: &str, right: &str) -> String {
    let wrong = is_not(arg, right);
    match hint::nearest(arg, help::COMMANDS.iter().map(|(name, ..)| *name)) {
        Some(command) if command == arg => format!("{arg} is a command, which comes first"),
        Some(command) => format!("{wrong}; perhaps {command}"),
        None => wrong,
    }
}

#[cfg(test)]
mod tests;
