//! The file of a Unix-domain socket: made, taken over from a server that has died, and removed.
//!
//! A path that nobody listens on any more is taken over, and then one of two who start at once
//! could remove what the other has just made. So whoever makes or removes a socket holds the lock
//! of the folder meanwhile, which leaves no file behind.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use barews::Listener;

use super::socket::raise_backlog;

/// How long to wait for the folder. Those who hold it as we do need less than a millisecond.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Removed when it is dropped, unless its place was taken meanwhile.
pub struct SocketFile {
    path: PathBuf,
    id: Id,
}

/// What tells a file from all others: the device and the inode, and since that may be given out
/// again, the time.
type Id = (u64, u64, i64, i64);

impl SocketFile {
    /// Listens on a path, in the place of a server that has died and left its socket there. Never
    /// takes long.
    pub fn listen(path: &Path) -> io::Result<(Listener, Option<Self>)> {
        Self::listen_within(path, LOCK_TIMEOUT)
    }

    fn listen_within(path: &Path, timeout: Duration) -> io::Result<(Listener, Option<Self>)> {
        let folder = lock_folder(path, timeout);
        let listener = match UnixListener::bind(path) {
            // Without the lock nothing is taken over.
            Err(error)
                if error.kind() == ErrorKind::AddrInUse
                    && folder.is_some()
                    && is_abandoned(path) =>
            {
                fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            result => result?,
        };
        let file = id(path).map(|id| Self { path: path.to_owned(), id });
        raise_backlog(&listener)?;
        Ok((listener.into(), file))
    }
}

/// Listens on a name that has no file, which only Linux has.
pub fn listen_abstract(name: &str) -> io::Result<Listener> {
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt;

        let addr = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        let listener = UnixListener::bind_addr(&addr)?;
        raise_backlog(&listener)?;
        Ok(listener.into())
    }
    #[cfg(not(target_os = "linux"))]
    Err(io::Error::new(ErrorKind::Unsupported, name))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _folder = lock_folder(&self.path, LOCK_TIMEOUT);
        if id(&self.path) == Some(self.id) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn id(path: &Path) -> Option<Id> {
    let data = fs::symlink_metadata(path).ok()?;
    Some((data.dev(), data.ino(), data.mtime(), data.mtime_nsec()))
}

/// The folder of a path, locked until it is dropped; `None` if it cannot be had, since anybody who
/// may read it may hold it for ever, and some file systems have no locks.
fn lock_folder(path: &Path, timeout: Duration) -> Option<File> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = File::open(parent.unwrap_or(Path::new("."))).ok()?;
    let start = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(()) => return Some(folder),
            // Nothing in std waits for a lock and for a time.
            Err(TryLockError::WouldBlock) if start.elapsed() < timeout => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(_) => return None,
        }
    }
}

/// Whether there is a socket that belongs to nobody any more.
///
/// A stream would wait for room in the backlog of one that lives, and take it. A datagram socket
/// is told at once that it is of the wrong type, even where nobody listens yet; it is refused only
/// by a file that no socket is behind.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == ErrorKind::ConnectionRefused;
    is_socket && UnixDatagram::unbound().and_then(|probe| probe.connect(path)).is_err_and(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("barews-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn a_socket_file_is_removed_but_not_another_in_its_place() {
        let folder = temporary("socket-file");
        let path = folder.join("socket");
        let (_first, file) = SocketFile::listen(&path).expect("a socket");
        drop(file);
        assert!(!path.exists());
        let (_second, file) = SocketFile::listen(&path).expect("a socket");
        // Not removed first: its inode could be the next file's.
        fs::rename(&path, path.with_extension("aside")).unwrap();
        fs::write(&path, "another").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"another");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn edge_h_only_what_belongs_to_nobody_is_taken_over() {
        let folder = temporary("abandoned");
        let path = folder.join("socket");
        // A server between `bind` and `listen`, which refuses streams as a dead one does.
        let unready = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
        let unready = unready.unwrap();
        unready.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
        let before = id(&path);
        let refused = SocketFile::listen(&path).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AddrInUse);
        assert_eq!(id(&path), before, "it was removed");
        drop(unready);
        let (listener, file) = SocketFile::listen(&path).expect("it is dead");
        assert_ne!(id(&path), before);
        drop((listener, file));
        // A datagram socket that lives is no less somebody's.
        let other = UnixDatagram::bind(&path).unwrap();
        assert!(!is_abandoned(&path));
        drop(other);
        assert!(is_abandoned(&path));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn edge_h_a_folder_that_somebody_holds_forbids_no_new_socket() {
        let folder = temporary("held");
        let path = folder.join("socket");
        drop(UnixListener::bind(&path).unwrap());
        let held = File::open(&folder).unwrap();
        held.lock().unwrap();
        let short = Duration::from_millis(20);
        let refused = SocketFile::listen_within(&path, short).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AddrInUse);
        assert!(path.exists());
        let free = folder.join("free");
        let (_listener, file) = SocketFile::listen_within(&free, short).expect("a socket");
        drop(held);
        drop(file);
        assert!(!free.exists());
        SocketFile::listen(&path).expect("nobody holds it any more");
        fs::remove_dir_all(folder).unwrap();
    }
}
