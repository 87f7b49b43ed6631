//! What systems other than Unix have of this folder.

pub mod descriptors {
    /// There is no limit to be told.
    pub fn raise() -> Option<u64> {
        None
    }
}

pub mod signals {
    pub const SIGHUP: i32 = 1;

    pub struct Signals;

    impl Signals {
        pub fn block(_: bool) -> Self {
            Self
        }

        /// There are no such signals here: the system ends the program as it does others.
        pub fn wait(&self) -> i32 {
            loop {
                std::thread::park();
            }
        }
    }
}

pub mod socket {
    use std::io;
    use std::net::TcpListener;

    use barews::RawStream;

    /// Only Unix lets `listen` be called again.
    pub fn raise_backlog(_: &TcpListener) -> io::Result<()> {
        Ok(())
    }

    /// There is no call for it here: the stream just ends.
    pub fn reset_when_closed(raw: &RawStream) {
        raw.shutdown(std::net::Shutdown::Both);
    }

    /// It stays as it is.
    pub fn set_receive_buffer(_: &RawStream, _: i32) {}
}

pub mod socket_activation {
    use barews::Listener;

    /// Nobody can pass listeners here.
    pub fn listeners() -> Result<Vec<Listener>, String> {
        let pid = std::env::var("LISTEN_PID").ok().and_then(|text| text.parse().ok());
        match pid == Some(std::process::id()) {
            true => Err("LISTEN_FDS: descriptors are of no use on this system".to_owned()),
            false => Ok(Vec::new()),
        }
    }
}

pub mod socket_file {
    use std::io::{self, ErrorKind};
    use std::path::Path;

    use barews::Listener;

    /// There are none.
    pub enum SocketFile {}

    impl SocketFile {
        pub fn listen(_: &Path) -> io::Result<(Listener, Option<Self>)> {
            Err(ErrorKind::Unsupported.into())
        }
    }

    pub fn listen_abstract(_: &str) -> io::Result<Listener> {
        Err(ErrorKind::Unsupported.into())
    }
}
