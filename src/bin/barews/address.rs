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

    /// Listens there; with the file that this leaves, if it does.
    pub(crate) fn listen(&self) -> io::Result<(Listener, Option<SocketFile>)> {
        match self {
            Self::Tcp(addr) => Ok((TcpListener::bind(addr)?.into(), None)),
            #[cfg(unix)]
            Self::Unix(path) => {
                let listener = unix::listen(path)?;
                Ok((listener.into(), SocketFile::at(path)))
            }
            #[cfg(not(unix))]
            Self::Unix(_) => Err(ErrorKind::Unsupported.into()),
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
pub(crate) use unix::SocketFile;

/// There are none.
#[cfg(not(unix))]
pub(crate) enum SocketFile {}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;

    /// The file of a socket, removed when it is dropped, unless its place was taken meanwhile.
    pub(crate) struct SocketFile {
        path: PathBuf,
        id: Id,
    }

    type Id = (u64, u64, i64, i64);

    impl SocketFile {
        /// The one at this path.
        pub(super) fn at(path: &Path) -> Option<Self> {
            Some(Self { path: path.to_owned(), id: id(path)? })
        }
    }

    impl Drop for SocketFile {
        fn drop(&mut self) {
            if id(&self.path) == Some(self.id) {
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    /// What tells a file from all others: the device and the inode, and since that may be given
    /// out again, the time.
    fn id(path: &Path) -> Option<Id> {
        let data = fs::symlink_metadata(path).ok()?;
        Some((data.dev(), data.ino(), data.mtime(), data.mtime_nsec()))
    }

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

    #[cfg(unix)]
    #[test]
    fn a_socket_file_is_removed_but_not_another_in_its_place() {
        let path = std::env::temp_dir().join(format!("barews-address-{}", std::process::id()));
        let addr = Address::Unix(path.clone());
        let (_first, file) = addr.listen().expect("a socket");
        drop(file);
        assert!(!path.exists());
        let (_second, file) = addr.listen().expect("a socket");
        // Not removed first: its inode could be the next file's.
        let aside = path.with_extension("aside");
        std::fs::rename(&path, &aside).expect("rename");
        std::fs::write(&path, "precious").expect("write");
        drop(file);
        assert_eq!(std::fs::read(&path).expect("still there"), b"precious");
        std::fs::remove_file(&path).expect("remove");
        std::fs::remove_file(&aside).expect("remove");
    }

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
