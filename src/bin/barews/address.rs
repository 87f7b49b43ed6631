//! Where to listen.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::path::PathBuf;

use barews::Listener;

/// An address from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `HOST:PORT`.
    Tcp(String),
    /// The path of a Unix-domain socket.
    Unix(PathBuf),
}

impl Address {
    /// Reads `HOST:PORT` or `unix:PATH`; whether there is such a place, the system knows.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return (cfg!(unix) && !path.is_empty()).then(|| Self::Unix(path.into()));
        }
        let (host, port) = text.rsplit_once(':')?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let digits = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
        let valid = !host.is_empty() && (bracketed || !host.contains(':')) && digits;
        valid.then(|| Self::Tcp(text.to_owned()))
    }

    /// Listens there.
    pub(crate) fn listen(&self) -> io::Result<Listener> {
        match self {
            Self::Tcp(addr) => TcpListener::bind(addr).map(Listener::Tcp),
            #[cfg(unix)]
            Self::Unix(path) => unix::listen(path).map(Listener::Unix),
            #[cfg(not(unix))]
            Self::Unix(_) => Err(ErrorKind::Unsupported.into()),
        }
    }

    /// Leaves nothing behind in the file system.
    pub(crate) fn remove(&self) {
        if let Self::Unix(path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => f.write_str(addr),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What a listener listens on, as one would write it.
pub(crate) fn shown(listener: &Listener) -> String {
    match listener {
        Listener::Tcp(listener) => match listener.local_addr() {
            Ok(addr) => addr.to_string(),
            Err(error) => error.to_string(),
        },
        #[cfg(unix)]
        Listener::Unix(listener) => match listener.local_addr() {
            Ok(addr) => addr
                .as_pathname()
                .map_or_else(|| "unix:".to_owned(), |path| format!("unix:{}", path.display())),
            Err(error) => error.to_string(),
        },
        _ => "an unknown listener".to_owned(),
    }
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::fs;
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;

    /// Listens on a path, in the place of a server that has died and left its socket there.
    pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
        match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && is_abandoned(path) => {
                fs::remove_file(path)?;
                UnixListener::bind(path)
            }
            result => result,
        }
    }

    fn is_abandoned(path: &Path) -> bool {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
        let refused = |error: io::Error| error.kind() == ErrorKind::ConnectionRefused;
        is_socket && UnixStream::connect(path).is_err_and(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for addr in ["127.0.0.1:9001", "0.0.0.0:80", "[::1]:0", "localhost:65535"] {
            assert_eq!(Address::parse(addr), Some(Address::Tcp(addr.to_owned())));
        }
        assert_eq!(Address::parse("unix:a:1"), Some(Address::Unix("a:1".into())));
        for wrong in [
            "",
            "80",
            ":80",
            "localhost",
            "localhost:",
            "a:65536",
            "::1:80",
            "a:-1",
            "a:+1",
            "unix:",
        ] {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }
}
