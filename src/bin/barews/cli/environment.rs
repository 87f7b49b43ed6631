//! The options that stand in the environment.

use std::ffi::OsString;

use super::options::Options;
use super::settings::{PREFIX, SETTINGS, Setting};
#[cfg(not(feature = "deflate"))]
use super::settings::{is_not, without_deflate};
#[cfg(not(feature = "deflate"))]
use super::values;
use crate::os::address::Address;

/// Turns on what this build may not have.
#[cfg(not(feature = "deflate"))]
const DEFLATE: &str = "BAREWS_DEFLATE";

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
    #[cfg(not(feature = "deflate"))]
    if let Some(text) = value(DEFLATE).transpose()?
        && values::flag(text).map_err(|right| format!("{DEFLATE}: {}", is_not(text, right)))?
    {
        return Err(without_deflate(DEFLATE));
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
    #[cfg(not(feature = "deflate"))]
    if rest == "DEFLATE" {
        // It says no, or the program would have ended.
        return None;
    } else if rest.starts_with("DEFLATE_") {
        return Some(without_deflate(&text));
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
