//! Where to listen: how an address is written.

use std::fmt;
use std::path::PathBuf;

/// An address from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `HOST:PORT`: every address that the host has.
    Tcp(String),
    /// `:PORT`: every interface, IPv6 and IPv4.
    Everywhere(u16),
    /// The path of a Unix-domain socket.
    Unix(PathBuf),
    /// The name of one that has no file, on Linux.
    Abstract(String),
}

impl Address {
    /// Reads `HOST:PORT`, `:PORT`, `unix:PATH` or `unix:@NAME`, or tells what would be right;
    /// whether there is such a place, the system knows.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::unix(path);
        }
        let Some((host, port)) = text.rsplit_once(':') else { return Err(RIGHT) };
        // `parse` would let a sign pass.
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse::<u16>().ok().filter(|_| digits);
        match (host, port) {
            (_, None) => Err(RIGHT),
            ("", Some(port)) => Ok(Self::Everywhere(port)),
            (host, _) if host.starts_with('[') && host.ends_with(']') => {
                Ok(Self::Tcp(text.to_owned()))
            }
            (host, _) if host.contains('/') => Err(RIGHT),
            (host, _) if host.contains(':') => {
                Err("HOST:PORT: an IPv6 address has brackets, as in [::1]:9001")
            }
            _ => Ok(Self::Tcp(text.to_owned())),
        }
    }

    fn unix(path: &str) -> Result<Self, &'static str> {
        match path.strip_prefix('@') {
            _ if !cfg!(unix) => Err("HOST:PORT or :PORT: this system has no Unix-domain sockets"),
            _ if path.is_empty() => Err(RIGHT),
            None => Ok(Self::Unix(path.into())),
            Some(_) if !cfg!(target_os = "linux") => {
                Err("unix:PATH: only Linux has names without a file (unix:./@NAME is a file)")
            }
            Some("") => Err("unix:@NAME: the name is empty"),
            Some(name) => Ok(Self::Abstract(name.to_owned())),
        }
    }
}

/// What an address has to be.
const RIGHT: &str = match cfg!(unix) {
    true => "HOST:PORT, :PORT or unix:PATH",
    false => "HOST:PORT or :PORT",
};

/// Where a server listens that was not told where.
impl Default for Address {
    fn default() -> Self {
        Self::Tcp("127.0.0.1:9001".to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => f.write_str(addr),
            Self::Everywhere(port) => write!(f, ":{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for addr in ["127.0.0.1:9001", "0.0.0.0:80", "[::1]:0", "localhost:65535"] {
            assert_eq!(Address::parse(addr), Ok(Address::Tcp(addr.to_owned())));
        }
        for wrong in ["", "80", "localhost", "localhost:", "a:65536", ":", "a:-1", "a:+1"] {
            assert_eq!(Address::parse(wrong), Err(RIGHT), "{wrong}");
        }
        assert_eq!(Address::parse("ws://a:80"), Err(RIGHT));
        assert_eq!(Address::parse(":9200"), Ok(Address::Everywhere(9200)));
        assert!(Address::parse("::1:80").is_err_and(|right| right.contains("[::1]:9001")));
    }

    #[cfg(unix)]
    #[test]
    fn unix_addresses() {
        assert_eq!(Address::parse("unix:a:1"), Ok(Address::Unix("a:1".into())));
        assert_eq!(Address::parse("unix:./@a"), Ok(Address::Unix("./@a".into())));
        assert_eq!(Address::parse("unix:"), Err(RIGHT));
        match Address::parse("unix:@a") {
            Ok(Address::Abstract(name)) if cfg!(target_os = "linux") => assert_eq!(name, "a"),
            Err(right) if !cfg!(target_os = "linux") => assert!(right.contains("only Linux")),
            other => panic!("{other:?}"),
        }
        assert!(Address::parse("unix:@").is_err());
        for addr in ["a:1", "[::]:0", ":80", "unix:/a", "unix:./@a"] {
            assert_eq!(Address::parse(addr).map(|addr| addr.to_string()), Ok(addr.to_owned()));
        }
    }
}
