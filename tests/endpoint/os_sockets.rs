//! Sockets of all kinds, as the program finds them, makes them and ends them.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::common::{Binary, Frame, PATIENCE, TEXT, close, command, frame, ms, r0};
use crate::os_edges::linux::wait_until;
use crate::os_edges::{after, complaint, echo};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("barews-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

/// Connects as often without waiting, and tells how often that worked.
fn connect_often(domain: Domain, addr: &SockAddr, times: usize) -> (usize, Vec<Socket>) {
    let sockets: Vec<Socket> = (0..times)
        .map_while(|_| {
            let socket = Socket::new(domain, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            match socket.connect(addr) {
                // TCP has an answer a moment later.
                Err(error) if error.raw_os_error() == Some(115) => Some(socket),
                result => result.is_ok().then_some(socket),
            }
        })
        .collect();
    let start = Instant::now();
    // Less than the second after which TCP would try again.
    while start.elapsed() < ms(700) && sockets.iter().any(|socket| socket.peer_addr().is_err()) {
        thread::sleep(ms(2));
    }
    (sockets.iter().filter(|socket| socket.peer_addr().is_ok()).count(), sockets)
}

#[test]
fn edge_h_a_start_beside_a_full_backlog_ends() {
    let folder = Folder::new("full");
    let path = folder.socket();
    let addr = SockAddr::unix(&path).unwrap();
    let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    busy.bind(&addr).unwrap();
    busy.listen(1).unwrap();
    let (queued, _sockets) = connect_often(Domain::UNIX, &addr, 100);
    assert!(queued < 100, "its backlog is not full");
    let (status, lines) = Binary::start(&mut command(&[&unix(&path)])).wait();
    assert_eq!(status.code(), Some(2));
    assert!(lines[0].contains("in use"), "{lines:?}");
    assert!(path.exists());
}

/// Whoever takes a file over has the folder to itself: what was judged abandoned is what is
/// removed, and not what another start has just made.
#[test]
fn edge_h_a_socket_file_is_judged_and_taken_over_in_one_step() {
    let folder = Folder::new("lock");
    let path = folder.socket();
    drop(UnixListener::bind(&path).unwrap());
    let lock = File::open(&folder.0).unwrap();
    lock.lock().unwrap();
    let late = Binary::start(&mut command(&[&unix(&path)]));
    let folders = format!("/proc/{}/fd", late.pid());
    wait_until(|| {
        let open = fs::read_dir(&folders).unwrap().flatten();
        let mut links = open.flat_map(|entry| fs::read_link(entry.path()));
        links.any(|link| link == folder.0) || !path.exists()
    });
    // Another start has it meanwhile.
    fs::remove_file(&path).expect("nobody has taken it over");
    let winner = UnixListener::bind(&path).unwrap();
    drop(lock);
    let (status, lines) = late.wait();
    assert_eq!(status.code(), Some(2), "{lines:?}");
    UnixStream::connect(&path).expect("it still leads to the winner");
    drop(winner);
}

/// 500 clients at once find room, however late the server accepts them. With the backlog of
/// 128 that std asks for, TCP's would try again a second later.
#[test]
fn edge_aa_a_burst_finds_room() {
    let folder = Folder::new("burst");
    let most = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let times = most.trim().parse::<usize>().unwrap().min(500);
    let path = folder.socket();
    let mut program = Binary::start(&mut command(&["127.0.0.1:0", &unix(&path)]));
    let tcp: std::net::SocketAddr = program.address().parse().unwrap();
    program.line();
    program.suspend();
    for (domain, addr) in
        [(Domain::IPV4, tcp.into()), (Domain::UNIX, SockAddr::unix(&path).unwrap())]
    {
        let (connected, _sockets) = connect_often(domain, &addr, times);
        assert_eq!(connected, times, "{domain:?}");
    }
    program.signal("CONT");
    echo(tcp);
}

#[test]
fn edge_ab_a_name_without_a_file() {
    let name = format!("barews-endpoint-{}", std::process::id());
    let addr = format!("unix:@{name}");
    let mut program = Binary::start(&mut command(&[&addr]));
    assert_eq!(program.address(), addr);
    assert!(!Path::new(&format!("@{name}")).exists());
    let taken = complaint(&mut command(&[&addr]));
    assert!(taken.starts_with(&format!("barews: cannot listen on {addr}: ")), "{taken}");
    let addr = SocketAddr::from_abstract_name(&name).unwrap();
    let mut client = UnixStream::connect_addr(&addr).expect("connect");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(&[r0().bytes(), frame(TEXT, "a"), close(1000, "")].concat()).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(&[&b"\x81\x01a"[..], &close_frame()].concat()), "{answer:?}");
    program.stop();
    assert!(UnixStream::connect_addr(&addr).is_err());
}

/// Close with 1000, as a server sends it.
fn close_frame() -> [u8; 4] {
    [0x88, 2, 3, 0xe8]
}

#[test]
fn edge_ab_only_listeners_may_be_passed() {
    let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = std::net::TcpStream::connect(listener.local_addr().unwrap()).expect("connect");
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = File::open("/dev/null").unwrap();
    for (input, wrong) in [
        (Stdio::from(OwnedFd::from(datagrams)), "is no stream socket"),
        (Stdio::from(OwnedFd::from(connected)), "does not listen"),
        (Stdio::from(file), "is no socket"),
    ] {
        let text = complaint(after(script, &[]).stdin(input));
        let start = "barews: LISTEN_FDS: the descriptor 3 that was passed ";
        assert!(text.starts_with(&format!("{start}{wrong}")), "{text}");
    }
    for count in ["x", "-1", "65"] {
        let script = format!("export LISTEN_PID=$$ LISTEN_FDS={count}");
        let text = complaint(&mut after(&script, &[]));
        assert_eq!(text, format!("barews: LISTEN_FDS: {count:?} is not a number up to 64"));
    }
}

/// A reset is one, and an end is none.
#[test]
fn edge_ad_reset_is_a_reset() {
    let binary = Binary::serve(&[]);
    for (target, echoes, reset) in
        [("/reset/0", 0, true), ("/reset/2", 2, true), ("/drop/0", 0, false)]
    {
        let mut client = std::net::TcpStream::connect(binary.addr).expect("connect");
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(&r0().target(target).bytes()).unwrap();
        let mut head = [0; 129];
        client.read_exact(&mut head).unwrap();
        assert!(head.starts_with(b"HTTP/1.1 101 ") && head.ends_with(b"\r\n\r\n"));
        for _ in 0..echoes {
            client.write_all(&frame(TEXT, "a")).unwrap();
            assert_eq!(Frame::read(&mut client).unwrap(), Some(Frame::text("a")));
        }
        match client.read(&mut [0]) {
            Err(error) if reset => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            end => assert!(!reset && matches!(end, Ok(0)), "{target}: {end:?}"),
        }
    }
}

/// A Unix-domain socket has no reset.
#[test]
fn edge_ad_a_unix_socket_just_ends() {
    let folder = Folder::new("reset");
    let path = folder.socket();
    let _program = {
        let mut program = Binary::start(&mut command(&[&unix(&path)]));
        program.address();
        program
    };
    let mut client = UnixStream::connect(&path).expect("connect");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(&r0().target("/reset/0").bytes()).unwrap();
    let mut answer = Vec::new();
    match client.read_to_end(&mut answer) {
        Ok(_) => assert!(answer.starts_with(b"HTTP/1.1 101 ") && answer.ends_with(b"\r\n\r\n")),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}
