//! The command line, and the environment behind it.
//!
//! ```text
//! arguments ──> parse ──> settings ── values ──> Options      wrong: one line, with what would be right
//! environment ────┘          └──────> help, man               (hint: the name that was meant;
//!                                                              features: what this build lacks)
//! ```
//!
//! Each option is one row in `settings`, from which the parser, the environment, the help and the
//! manual page are made. It imports what options are about: addresses from `os`, paths from
//! `routes`, formats from `log`.

mod hint;
pub mod values;
mod features;
mod options;
mod settings;
mod environment;
mod help;
mod man;

use std::ffi::OsString;

use environment::Environment;
pub use features::BUILT_IN;
pub use options::{Behaviour, Options};
use settings::{SETTINGS, Setting, is_not};

use crate::os::address::Address;

/// What the user asks for.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Serve(Box<Options>),
    /// Print this, and no more.
    Print(String),
}

/// Reads the arguments, the program's name left out, and the environment for what they leave open.
pub fn parse(args: impl Iterator<Item = OsString>, env: &Environment) -> Result<Command, String> {
    let mut options = Options::default();
    let mut given = Vec::new();
    let mut args =
        args.map(|arg| arg.into_string().map_err(|arg| format!("{} is not UTF-8", arg.display())));
    let mut only_addresses = false;
    while let Some(arg) = args.next().transpose()? {
        // A value stands behind a sign of equality or in the next argument.
        let is_option = arg.starts_with('-') && !only_addresses;
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) if is_option => (name, Some(value.to_owned())),
            _ => (&*arg, None),
        };
        match name {
            _ if !is_option => {
                let addr = Address::parse(name).map_err(|right| is_not(name, right))?;
                options.listen.push(addr);
                given.push("--listen");
            }
            "--" if value.is_none() => only_addresses = true,
            "-h" | "--help" => {
                let topic = match value {
                    Some(topic) => Some(topic),
                    // What looks like an option is no topic.
                    None => args.next().transpose()?.filter(|next| !next.starts_with('-')),
                };
                return help::text(topic.as_deref()).map(Command::Print);
            }
            "--man" => return Ok(Command::Print(man::man())),
            "-V" | "--version" => {
                return Ok(Command::Print(version()));
            }
            _ => {
                let setting = SETTINGS.iter().find(|setting| setting.name == name);
                let setting = setting.ok_or_else(|| no_option(name))?;
                let value = match (value, setting.value) {
                    (Some(value), _) => value,
                    (None, _) if setting.is_flag() => "1".to_owned(),
                    (None, what) => {
                        args.next().transpose()?.ok_or_else(|| format!("{name} needs a {what}"))?
                    }
                };
                setting.apply(&mut options, name, &value)?;
                given.push(setting.name);
            }
        }
    }
    let open = SETTINGS.iter().filter(|setting| !given.contains(&setting.name));
    environment::read(&mut options, open, env)?;
    #[cfg(feature = "deflate")]
    options.set_compression();
    Ok(Command::Serve(Box::new(options)))
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
    match Setting::nearest(name.trim_start_matches('-')) {
        Some(setting) => format!("there is no option {name}, but {}", setting.name),
        None => format!("there is no option {name}"),
    }
}

#[cfg(test)]
mod tests;
