//! From an address to a connection: the client's side of what `listen` opens.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::address::Address;

/// A connection, encrypted or not.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

impl Address {
    /// Connects to it, which may take as long as the system likes.
    pub fn connect(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(addr) => Ok(Box::new(TcpStream::connect(addr)?)),
            Self::Everywhere(port) => Ok(Box::new(TcpStream::connect(("localhost", *port))?)),
            #[cfg(unix)]
            Self::Unix(path) => Ok(Box::new(std::os::unix::net::UnixStream::connect(path)?)),
            #[cfg(target_os = "linux")]
            Self::Abstract(name) => {
                use std::os::linux::net::SocketAddrExt;
                use std::os::unix::net::{SocketAddr, UnixStream};

                let addr = SocketAddr::from_abstract_name(name)?;
                Ok(Box::new(UnixStream::connect_addr(&addr)?))
            }
            #[cfg(not(target_os = "linux"))]
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
