//! The options that stand in the environment, or in a file that says what could stand there.

use std::ffi::OsString;

use super::config_file::ConfigFile;
use super::features::{SWITCHES, lacking, without};
use super::options::{Engine, Options};
use super::settings::{PREFIX, SETTINGS, Setting, is_not};
use super::values;
use crate::os::address::Address;

/// Its variables.
pub type Environment = [(OsString, OsString)];

/// Where a variable may stand: the environment, and for what that leaves open a file.
pub struct Variables<'a> {
    env: &'a Environment,
    file: ConfigFile,
}

impl<'a> Variables<'a> {
    pub fn new(env: &'a Environment, file: ConfigFile) -> Self {
        Self { env, file }
    }

    /// The value of a variable, if it has one, and how the user said it.
    fn value(&self, name: &str) -> Result<Option<(&str, &str)>, String> {
        match self.env.iter().find(|(other, value)| is_same(other, name) && !value.is_empty()) {
            Some((other, value)) => {
                let both = other.to_str().zip(value.to_str());
                both.map(Some).ok_or_else(|| format!("{name} is not UTF-8"))
            }
            None => Ok(self.file.value(name)),
        }
    }

    /// Reads these settings, and where to listen if nothing else tells; what looks like a setting
    /// and is none is warned about.
    pub fn read<'s>(
        &self,
        options: &mut Options,
        settings: impl Iterator<Item = &'s Setting>,
    ) -> Result<(), String> {
        for setting in settings {
            self.read_one(options, setting)?;
        }
        for switch in SWITCHES {
            if let Some(feature) = lacking(&switch[PREFIX.len()..])
                && let Some((source, text)) = self.value(switch)?
                && is_on(switch, source, text)?
            {
                return Err(without(source, feature));
            }
        }
        // What platforms set that choose the port, and expect to reach it from outside.
        if options.listen.is_empty()
            && let Some((source, port)) = self.value("PORT")?
        {
            let addr = Address::parse(&format!("0.0.0.0:{port}"));
            let wrong = |_| format!("{source}: {port:?} is not a port, a number up to 65535");
            options.listen.push(addr.map_err(wrong)?);
        }
        options.warnings.extend(self.env.iter().filter_map(|(name, value)| unknown(name, value)));
        Ok(())
    }

    /// Reads one setting.
    pub fn read_one(&self, options: &mut Options, setting: &Setting) -> Result<(), String> {
        match self.value(&setting.variable())? {
            None => Ok(()),
            // Nothing but spaces is no list: a list of origins would let everyone in.
            Some((source, text)) if setting.is_list() && !text.trim().is_empty() => {
                text.split_whitespace().try_for_each(|text| setting.apply(options, source, text))
            }
            Some((source, text)) => setting.apply(options, source, text),
        }
    }
}

/// Whether a switch asks for what this build lacks; those for TLS may have other values than yes and no.
fn is_on(switch: &str, source: &str, text: &str) -> Result<bool, String> {
    if switch == "BAREWS_ENGINE" {
        let engine = values::engine(text);
        return engine
            .map(|engine| engine == Engine::EventLoop)
            .map_err(|right| format!("{source}: {}", is_not(text, right)));
    }
    match values::flag(text) {
        Err(right) if switch == "BAREWS_DEFLATE" => {
            Err(format!("{source}: {}", is_not(text, right)))
        }
        flag => Ok(flag.unwrap_or(true)),
    }
}

/// Whether a variable has this name: on Windows case makes no difference.
fn is_same(variable: &OsString, name: &str) -> bool {
    match cfg!(windows) {
        true => variable.eq_ignore_ascii_case(name),
        false => variable == name,
    }
}

/// What to say of a variable that looks like ours and is none.
fn unknown(name: &OsString, value: &OsString) -> Option<String> {
    let text = name.to_string_lossy();
    let upper = text.to_ascii_uppercase();
    let rest = upper.strip_prefix(PREFIX)?;
    let known = SETTINGS.iter().any(|setting| is_same(name, &setting.variable()));
    if known || value.is_empty() || is_a_clusters(rest, value) {
        return None;
    }
    if let Some(feature) = lacking(rest) {
        // One that is a switch says no, or the program would have ended.
        let is_switch = SWITCHES.contains(&&*upper);
        return (!is_switch).then(|| without(&text, feature));
    }
    Some(match Setting::nearest(rest) {
        Some(setting) => {
            format!("{text} is ignored: there is no such option, but {}", setting.variable())
        }
        None => {
            format!("{text} is ignored: there is no such option; see barews --help environment")
        }
    })
}

/// Whether Kubernetes, or Docker, has set this to tell where a service called `barews` is.
fn is_a_clusters(rest: &str, value: &OsString) -> bool {
    let is_url = || value.to_str().is_some_and(|value| value.contains("://"));
    rest.starts_with("SERVICE_") || rest.starts_with("PORT_") || rest == "PORT" && is_url()
}
