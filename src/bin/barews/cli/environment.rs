//! The options that stand in the environment.

use std::ffi::OsString;

use super::features::{lacking, without};
use super::options::Options;
use super::settings::{PREFIX, SETTINGS, Setting, is_not};
use super::values;
use crate::os::address::Address;

/// Turn on what this build may lack, unless they say no. Who has one of the last three wants nothing
/// to go unencrypted, or rooms to be shared.
const SWITCHES: [&str; 5] = [
    "BAREWS_DEFLATE",
    "BAREWS_TLS_SELF_SIGNED",
    "BAREWS_TLS_CERT",
    "BAREWS_TLS_KEY",
    "BAREWS_BACKPLANE",
];

/// Its variables.
pub type Environment = [(OsString, OsString)];

/// Reads these settings from the environment, and where to listen if nothing else tells; what looks
/// like a setting and is none is warned about.
pub fn read<'a>(
    options: &mut Options,
    settings: impl Iterator<Item = &'a Setting>,
    env: &Environment,
) -> Result<(), String> {
    let value = |name: &str| {
        let (_, value) =
            env.iter().find(|(other, value)| is_same(other, name) && !value.is_empty())?;
        Some(value.to_str().ok_or_else(|| format!("{name} is not UTF-8")))
    };
    for setting in settings {
        let variable = setting.variable();
        match value(&variable).transpose()? {
            None => {}
            // Nothing but spaces is no list: a list of origins would let everyone in.
            Some(text) if setting.is_list() && !text.trim().is_empty() => {
                for text in text.split_whitespace() {
                    setting.apply(options, &variable, text)?;
                }
            }
            Some(text) => setting.apply(options, &variable, text)?,
        }
    }
    for switch in SWITCHES {
        if let Some(feature) = lacking(&switch[PREFIX.len()..])
            && let Some(text) = value(switch).transpose()?
            && is_on(switch, text)?
        {
            return Err(without(switch, feature));
        }
    }
    // What platforms set that choose the port, and expect to reach it from outside.
    if options.listen.is_empty()
        && let Some(port) = value("PORT").transpose()?
    {
        let addr = Address::parse(&format!("0.0.0.0:{port}"));
        let addr = addr.map_err(|_| format!("PORT: {port:?} is not a port, a number up to 65535"));
        options.listen.push(addr?);
    }
    options.warnings.extend(env.iter().filter_map(|(name, value)| unknown(name, value)));
    Ok(())
}

/// Whether a switch asks for what this build lacks; those for TLS may have other values than yes and no.
fn is_on(switch: &str, text: &str) -> Result<bool, String> {
    match values::flag(text) {
        Err(right) if switch == "BAREWS_DEFLATE" => {
            Err(format!("{switch}: {}", is_not(text, right)))
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
