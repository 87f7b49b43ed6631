//! A listener whose `accept` waits for a while only.
//!
//! Nothing in std ends an `accept` that waits, and a listener may be shared with other processes:
//! what would wake us, a connection to ourselves, might come to one of them. So no `accept` waits
//! for long. Linux bounds it by `SO_RCVTIMEO`; elsewhere that option does nothing here, so the
//! listener is non-blocking and we sleep between looks.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::io::any_stream::Stream;
use crate::io::listener::Listener;
#[cfg(feature = "event-loop")]
use crate::io::loop_listener::LoopListener;
use crate::io::stream::TimedStream;
#[cfg(feature = "tls")]
use crate::io::tls::TlsStream;

/// A listener whose `accept` waits for a while only. What that takes of the socket is put back
/// when this is dropped.
pub(crate) struct TimedListener {
    listener: Listener,
    options: Options,
    /// The settings of the TLS that all streams speak.
    #[cfg(feature = "tls")]
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// How long to sleep between looks where `accept` does not wait by itself.
const ACCEPT_POLL_INTERVAL: Duration = Duration::from_millis(5);

impl TimedListener {
    /// Takes the listener over, whatever its former owner wanted of it.
    pub(crate) fn new(listener: Listener) -> io::Result<Self> {
        let options = Options::of(&listener)?;
        listener.set_nonblocking(options::NONBLOCKING)?;
        Ok(Self {
            listener,
            options,
            #[cfg(feature = "tls")]
            tls: None,
        })
    }

    /// All its streams speak TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn set_tls(&mut self, config: Arc<rustls::ServerConfig>) {
        self.tls = Some(config);
    }

    /// Another handle, for an event loop. Neither blocks from now on.
    ///
    /// # Errors
    ///
    /// As for [`LoopListener::new`].
    #[cfg(feature = "event-loop")]
    pub(crate) fn for_loop(&self) -> io::Result<LoopListener> {
        LoopListener::new(&self.listener)
    }

    /// Has no accept block, of this or another handle, whatever another owner wants of them: that is one
    /// setting for all, and an older process that has the listener puts it back as it ends.
    #[cfg(feature = "event-loop")]
    pub(crate) fn keep_nonblocking(&self) -> io::Result<()> {
        self.listener.set_nonblocking(true)
    }

    /// Whether its streams speak TLS.
    #[cfg(feature = "event-loop")]
    pub(crate) fn is_wrapped(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// What an event loop has accepted, as a stream of ours on which no write waits yet.
    ///
    /// # Errors
    ///
    /// If no session of TLS can be had.
    #[cfg(feature = "event-loop")]
    pub(crate) fn stream(
        &self,
        stream: Stream,
        peer: Option<SocketAddr>,
    ) -> io::Result<TimedStream> {
        self.over_tls(stream).map(|stream| TimedStream::in_its_mode(stream, peer))
    }

    /// As of [`Listener`].
    pub(crate) fn addr(&self) -> io::Result<Option<SocketAddr>> {
        self.listener.addr()
    }

    /// Waits for a stream at most `wait`, or a tick of the kernel's clock more; `None` if none has
    /// come, which may be known sooner, but not over and over at once.
    pub(crate) fn accept(&self, wait: Duration) -> io::Result<Option<TimedStream>> {
        // Every time: others may set it too, to none perhaps. Half a microsecond, which is less
        // than a hundredth of a connect and an accept.
        self.options.set_timeout(wait)?;
        let start = Instant::now();
        match self.accept_stream() {
            Ok(stream) => Ok(Some(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if start.elapsed() < wait / 2 {
                    thread::sleep(ACCEPT_POLL_INTERVAL.min(wait));
                }
                Ok(None)
            }
            Err(error) => match error.kind() {
                // The peer gave up while it waited; the next one may not have.
                ErrorKind::Interrupted
                | ErrorKind::ConnectionAborted
                | ErrorKind::ConnectionReset => Ok(None),
                _ => Err(error),
            },
        }
    }

    fn accept_stream(&self) -> io::Result<TimedStream> {
        let (stream, peer) = self.listener.accept()?;
        self.over_tls(stream).map(|stream| TimedStream::accepted(stream, peer))
    }

    /// The stream as it is, or TLS over it.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_self, clippy::unnecessary_wraps))]
    fn over_tls(&self, stream: Stream) -> io::Result<Stream> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            // The settings have made a session before.
            return stream.below(|stream| {
                TlsStream::over(stream, Arc::clone(tls)).map_err(io::Error::other)
            });
        }
        Ok(stream)
    }
}

impl Drop for TimedListener {
    fn drop(&mut self) {
        // An event loop may have had it.
        let _ = self.listener.set_nonblocking(options::NONBLOCKING);
        self.options.put_back(&self.listener);
    }
}

use options::Options;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod options {
    use std::fs;
    use std::io;
    use std::net::TcpStream;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::time::Duration;

    use crate::io::listener::{Listener, MAX_ACCEPT_TIMEOUT};

    pub(super) const NONBLOCKING: bool = false;

    /// The options of a listener that are changed, and what they were before.
    pub(super) struct Options {
        /// Another handle of the listener's socket, by which std sets options that it has no call
        /// for on listeners. They are those of any socket.
        socket: TcpStream,
        timeout: Option<Duration>,
        nonblocking: bool,
    }

    impl Options {
        pub(super) fn of(listener: &Listener) -> io::Result<Self> {
            let fd = match listener {
                Listener::Tcp(listener) => OwnedFd::from(listener.try_clone()?),
                Listener::Unix(listener) => OwnedFd::from(listener.try_clone()?),
                Listener::Wrapped(listener) => OwnedFd::from(listener.tcp.try_clone()?),
            };
            let socket = TcpStream::from(fd);
            let nonblocking = is_nonblocking(&socket);
            let timeout = socket.read_timeout()?;
            Ok(Self { socket, timeout, nonblocking })
        }

        pub(super) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
            self.socket.set_read_timeout(Some(timeout))
        }

        /// What another owner has set since is left as it is. There is nobody to hear of an error.
        pub(super) fn put_back(&self, listener: &Listener) {
            let is_ours = |timeout: &Duration| *timeout <= MAX_ACCEPT_TIMEOUT;
            if self.socket.read_timeout().is_ok_and(|timeout| timeout.is_some_and(|t| is_ours(&t)))
            {
                // If it was that of another server of our kind, that one may have ended since.
                let before = self.timeout.filter(|timeout| !is_ours(timeout));
                let _ = self.socket.set_read_timeout(before);
            }
            if self.nonblocking {
                let _ = listener.set_nonblocking(true);
            }
        }
    }

    /// Whether `O_NONBLOCK` is set, which std can set but not tell; no, where it cannot be known.
    pub(super) fn is_nonblocking(socket: &TcpStream) -> bool {
        // The same on all processors but Alpha, MIPS, PA-RISC and SPARC.
        const O_NONBLOCK: u32 = 0o4000;
        let path = format!("/proc/self/fdinfo/{}", socket.as_raw_fd());
        let Ok(info) = fs::read_to_string(path) else { return false };
        let mut flags = info.lines().filter_map(|line| line.strip_prefix("flags:"));
        let flags = flags.next().and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & O_NONBLOCK != 0)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod options {
    use std::io;
    use std::time::Duration;

    use crate::io::listener::Listener;

    pub(super) const NONBLOCKING: bool = true;

    /// The options of a listener that are changed: none but that it does not block.
    pub(super) struct Options;

    impl Options {
        pub(super) fn of(_: &Listener) -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) fn set_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        pub(super) fn put_back(&self, listener: &Listener) {
            // There is nobody to hear of an error.
            let _ = listener.set_nonblocking(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const WAIT: Duration = Duration::from_millis(50);

    /// How long an accept takes to which nobody comes.
    fn time(listener: &TimedListener) -> Duration {
        let start = Instant::now();
        assert!(listener.accept(WAIT).expect("no error").is_none());
        start.elapsed()
    }

    #[test]
    fn edge_g_an_accept_waits_but_not_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = listener.try_clone().unwrap();
        let listener = TimedListener::new(listener.into()).unwrap();
        for _ in 0..2 {
            let spent = time(&listener);
            assert!(spent >= WAIT || options::NONBLOCKING, "{spent:?}");
            // One of several owners may want it otherwise; then it is looked at now and then.
            other.set_nonblocking(true).unwrap();
            assert!(time(&listener) >= ACCEPT_POLL_INTERVAL);
            other.set_nonblocking(options::NONBLOCKING).unwrap();
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn edge_g_what_was_set_is_put_back() {
        use std::net::TcpStream;
        use std::os::fd::OwnedFd;
        use std::os::unix::net::UnixListener;

        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let path = std::env::temp_dir().join(format!("barews-put-back-{}", std::process::id()));
        let unix = UnixListener::bind(&path).unwrap();
        let pairs: [(OwnedFd, Listener); 2] = [
            (tcp.try_clone().unwrap().into(), tcp.into()),
            (unix.try_clone().unwrap().into(), unix.into()),
        ];
        for (fd, listener) in pairs {
            // The flags of any socket are those of a stream's.
            let socket = TcpStream::from(fd);
            let again = || match &listener {
                Listener::Tcp(tcp) => Listener::from(tcp.try_clone().unwrap()),
                Listener::Unix(unix) => Listener::from(unix.try_clone().unwrap()),
                Listener::Wrapped(_) => unreachable!("none is here"),
            };
            let second = Some(Duration::from_secs(1));
            // A timeout that another server of our kind has left is nobody's wish.
            for (before, after) in [(None, None), (second, second), (Some(WAIT), None)] {
                for nonblocking in [false, true] {
                    socket.set_read_timeout(before).unwrap();
                    socket.set_nonblocking(nonblocking).unwrap();
                    let server = TimedListener::new(again()).unwrap();
                    let spent = time(&server);
                    assert!(spent >= WAIT, "{spent:?}");
                    // Whole ticks, so it may be somewhat more.
                    let during = socket.read_timeout().unwrap().expect("a timeout");
                    assert!((WAIT..WAIT * 2).contains(&during), "{during:?}");
                    drop(server);
                    assert_eq!(socket.read_timeout().unwrap(), after);
                    assert_eq!(options::is_nonblocking(&socket), nonblocking);
                }
            }
        }
        std::fs::remove_file(path).unwrap();
    }
}
