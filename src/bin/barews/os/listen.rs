//! From addresses to listeners.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use barews::Listener;

use super::address::Address;
use super::socket::raise_backlog;
use super::socket_file::{SocketFile, listen_abstract};

/// The listeners of one address, with the file that this leaves, if it does.
pub struct Opened {
    pub listeners: Vec<Listener>,
    pub file: Option<SocketFile>,
    /// Addresses that it could do without, and why.
    pub missing: Vec<(SocketAddr, io::Error)>,
}

/// How often a port is looked for that is free on all addresses of a host.
const MAX_ATTEMPTS: u32 = 16;

impl Address {
    /// Whether a name may have to be looked up, which can take its time.
    pub fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_) | Self::Abstract(_))
    }

    /// Listens there.
    pub fn listen(&self) -> io::Result<Opened> {
        match self {
            Self::Tcp(addr) => everywhere(&lookup(addr)?),
            Self::Everywhere(port) => everywhere(&[
                (Ipv6Addr::UNSPECIFIED, *port).into(),
                (Ipv4Addr::UNSPECIFIED, *port).into(),
            ]),
            Self::Unix(path) => {
                let (listener, file) = SocketFile::listen(path)?;
                Ok(Opened { listeners: vec![listener], file, missing: Vec::new() })
            }
            Self::Abstract(name) => {
                let listener = listen_abstract(name)?;
                Ok(Opened { listeners: vec![listener], file: None, missing: Vec::new() })
            }
        }
    }
}

/// The addresses of `HOST:PORT`. `localhost` is this machine's loopback whatever a file or a
/// server says of it (RFC 6761 §6.3), in both families: clients try either first.
fn lookup(addr: &str) -> io::Result<Vec<SocketAddr>> {
    if let Some((host, port)) = addr.rsplit_once(':')
        && host.eq_ignore_ascii_case("localhost")
        && let Ok(port) = port.parse::<u16>()
    {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    let mut addrs = Vec::new();
    for addr in addr.to_socket_addrs()? {
        if !addrs.contains(&addr) {
            addrs.push(addr);
        }
    }
    Ok(addrs)
}

/// Listens on all of these but such as this machine does not have. They have one port: if it may
/// be any, then the one that the first has found.
fn everywhere(addrs: &[SocketAddr]) -> io::Result<Opened> {
    let any = addrs.first().is_some_and(|addr| addr.port() == 0);
    let mut attempt = 1;
    loop {
        match try_everywhere(addrs) {
            // Free on the first address and not on another.
            Err(error) if any && error.kind() == ErrorKind::AddrInUse && attempt < MAX_ATTEMPTS => {
                attempt += 1;
            }
            result => return result,
        }
    }
}

fn try_everywhere(addrs: &[SocketAddr]) -> io::Result<Opened> {
    let mut opened = Opened { listeners: Vec::new(), file: None, missing: Vec::new() };
    let mut port = None;
    // Whether IPv4 comes to a listener for IPv6 too.
    let mut both = false;
    for addr in addrs {
        let addr = SocketAddr::new(addr.ip(), port.unwrap_or(addr.port()));
        if both && addr.is_ipv4() {
            continue;
        }
        match TcpListener::bind(addr) {
            Ok(listener) => {
                raise_backlog(&listener)?;
                port = Some(listener.local_addr()?.port());
                both |= addr.is_ipv6() && addr.ip().is_unspecified() && takes_ipv4(&listener);
                opened.listeners.push(listener.into());
            }
            // That somebody else has the port is not to be passed over: clients would go there.
            Err(error) if is_missing(&error) => opened.missing.push((addr, error)),
            Err(error) => return Err(error),
        }
    }
    match opened.listeners.is_empty() {
        true => Err(opened.missing.pop().map_or(ErrorKind::NotFound.into(), |(_, error)| error)),
        false => Ok(opened),
    }
}

/// Whether the error says that this machine has no such address, or not the family at all.
fn is_missing(error: &io::Error) -> bool {
    /// `EAFNOSUPPORT`, which has no kind: on Linux, on the BSDs and macOS, on Windows.
    const NO_FAMILY: [i32; 3] = [97, 47, 10047];
    error.kind() == ErrorKind::AddrNotAvailable
        || error.raw_os_error().is_some_and(|code| NO_FAMILY.contains(&code))
}

/// As Linux has it, and nobody who is as careful as OpenBSD.
fn takes_ipv4(listener: &TcpListener) -> bool {
    #[allow(deprecated, reason = "it is `set_only_v6` that comes too late")]
    listener.only_v6().is_ok_and(|only| !only)
}

/// What a listener listens on, as one would write it.
pub fn display(listener: &Listener) -> String {
    match listener {
        Listener::Tcp(listener) => match listener.local_addr() {
            Ok(addr) => addr.to_string(),
            Err(error) => error.to_string(),
        },
        #[cfg(unix)]
        Listener::Unix(listener) => match listener.local_addr() {
            Ok(addr) => format!("unix:{}", socket_name(&addr)),
            Err(error) => error.to_string(),
        },
        _ => "an unknown listener".to_owned(),
    }
}

/// The path, or the name behind an `@`.
#[cfg(unix)]
fn socket_name(addr: &std::os::unix::net::SocketAddr) -> String {
    #[cfg(target_os = "linux")]
    if let Some(name) = std::os::linux::net::SocketAddrExt::as_abstract_name(addr) {
        return format!("@{}", name.escape_ascii());
    }
    addr.as_pathname().map_or_else(String::new, |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(opened: &Opened) -> Vec<SocketAddr> {
        let addr = |listener: &Listener| display(listener).parse().expect("an address");
        opened.listeners.iter().map(addr).collect()
    }

    /// A machine may have no IPv6; the tests say then what is left of them.
    fn has_ipv6() -> bool {
        TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
    }

    #[test]
    fn edge_ab_a_name_is_listened_on_at_all_its_addresses() {
        for name in ["localhost:0", "LocalHost:0"] {
            let opened = Address::parse(name).unwrap().listen().expect("a port");
            let addrs = addresses(&opened);
            assert_eq!(addrs[0].ip(), Ipv4Addr::LOCALHOST);
            if has_ipv6() {
                assert_eq!(addrs.len(), 2, "{addrs:?}");
                assert_eq!(addrs[1], (Ipv6Addr::LOCALHOST, addrs[0].port()).into());
            } else {
                assert_eq!(opened.missing.len(), 1);
            }
            // Where it is taken on one of them, it is taken.
            let last = addrs.last().unwrap();
            let only = TcpListener::bind(SocketAddr::new(last.ip(), 0)).unwrap();
            let port = only.local_addr().unwrap().port();
            let taken = Address::Tcp(format!("localhost:{port}")).listen().map(drop).unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn edge_ab_what_the_machine_does_not_have_is_done_without() {
        let [here, away] = [[127, 0, 0, 1], [203, 0, 113, 1]].map(|ip| SocketAddr::from((ip, 0)));
        for addrs in [[here, away], [away, here]] {
            let opened = everywhere(&addrs).expect("one of them");
            assert_eq!(addresses(&opened)[0].ip(), here.ip());
            assert_eq!(opened.missing[0].0.ip(), away.ip());
        }
        let none = everywhere(&[away]).map(drop).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::AddrNotAvailable);
        assert!(everywhere(&[]).is_err());
    }

    #[test]
    fn edge_ab_a_port_alone_is_for_both_families() {
        let opened = Address::Everywhere(0).listen().expect("a port");
        let addrs = addresses(&opened);
        let port = addrs[0].port();
        assert!(addrs.iter().all(|addr| addr.ip().is_unspecified() && addr.port() == port));
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("IPv4");
        if has_ipv6() {
            std::net::TcpStream::connect((Ipv6Addr::LOCALHOST, port)).expect("IPv6");
        }
    }
}
