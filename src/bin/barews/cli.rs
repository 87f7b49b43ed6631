//! The command line.

use std::ffi::OsString;

/// What the user asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Serve on this address.
    Serve(String),
    /// Print this, and no more.
    Print(String),
}

const DEFAULT_ADDR: &str = "127.0.0.1:9001";

const HELP: &str = "\
A strict WebSocket (RFC 6455) echo server.

Usage: barews [ADDR]

Arguments:
  ADDR  the address to listen on, HOST:PORT [default: 127.0.0.1:9001]
        port 0 takes any that is free; 0.0.0.0 and [::] mean every interface

Options:
  -h, --help     print this
  -V, --version  print the version

Every path echoes: text as text, binary as binary. The address and a line for
each connection go to standard error.
";

/// Reads the arguments, the program's name left out.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut addr = None;
    for arg in args {
        let arg = arg.into_string().map_err(|arg| format!("{} is not UTF-8", arg.display()))?;
        match arg.as_str() {
            "-h" | "--help" => return Ok(Command::Print(HELP.to_owned())),
            "-V" | "--version" => {
                return Ok(Command::Print(format!("barews {}\n", env!("CARGO_PKG_VERSION"))));
            }
            option if option.starts_with('-') => return Err(format!("no option {option}")),
            _ if addr.is_some() => return Err(format!("one address too many: {arg}")),
            _ if !is_addr(&arg) => return Err(format!("{arg} is not HOST:PORT")),
            _ => addr = Some(arg),
        }
    }
    Ok(Command::Serve(addr.unwrap_or_else(|| DEFAULT_ADDR.to_owned())))
}

/// Whether the text has the form of an address; whether there is one, the system knows.
fn is_addr(text: &str) -> bool {
    match text.rsplit_once(':') {
        Some((host, port)) => {
            let bracketed = host.starts_with('[') && host.ends_with(']');
            !host.is_empty() && (bracketed || !host.contains(':')) && port.parse::<u16>().is_ok()
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Command, String> {
        parse(args.iter().map(OsString::from))
    }

    #[test]
    fn addresses() {
        let serve = |addr: &str| Ok(Command::Serve(addr.to_owned()));
        assert_eq!(parsed(&[]), serve(DEFAULT_ADDR));
        for addr in ["0.0.0.0:80", "[::1]:0", "localhost:65535"] {
            assert_eq!(parsed(&[addr]), serve(addr));
        }
        for wrong in ["", "80", ":80", "localhost", "localhost:", "a:65536", "::1:80", "a:-1"] {
            assert_eq!(parsed(&[wrong]), Err(format!("{wrong} is not HOST:PORT")));
        }
        assert!(parsed(&["a:1", "b:2"]).is_err());
    }

    #[test]
    fn options() {
        assert_eq!(parsed(&["--help"]), Ok(Command::Print(HELP.to_owned())));
        assert!(matches!(parsed(&["-V"]), Ok(Command::Print(text)) if text.starts_with("barews ")));
        assert_eq!(parsed(&["--port"]), Err("no option --port".to_owned()));
        assert!(HELP.lines().all(|line| line.len() <= 80));
        assert!(HELP.contains(DEFAULT_ADDR));
    }
}
