//! A stream of TLS without a server: which an engine has no part in.

use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use barews::{Accept, Config, TlsStream, Transport, Upgrade};

use crate::common::tls::{CLIENT, SERVER, session};
use crate::common::{BINARY, Frame, PATIENCE, PING, close, echo, frame, noise, r0, with_timeouts};
use crate::{connect, encrypt};

/// With a listener of one's own.
#[test]
fn without_a_server() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let client = thread::spawn(move || {
        let mut client = connect(addr).opened();
        client.send(frame(BINARY, "abc"));
        client.expect(&Frame::binary("abc"));
        client.finish();
    });
    let (stream, _) = listener.accept().unwrap();
    let stream = barews::TlsStream::new(stream, SERVER.clone()).unwrap();
    assert!(stream.info().is_none());
    let config = with_timeouts(|timeouts| timeouts.idle_timeout = PATIENCE);
    let upgrade = Upgrade::handshake(stream, &config).expect("a request");
    assert!(upgrade.request().tls().is_some());
    let mut conn = upgrade.accept(&barews::Accept::new()).unwrap();
    crate::common::echo(&mut conn);
    drop(conn);
    client.join().unwrap();
}

/// A stream in memory: what the client has sent, in pieces, and where the answers go. Faults are
/// those of a socket: short, interrupted, and calls that would block.
#[derive(Clone)]
struct Memory(Arc<Mutex<State>>);

struct State {
    input: Vec<u8>,
    at: usize,
    output: Vec<u8>,
    most: usize,
    calls: usize,
    ended: bool,
}

impl Memory {
    fn new(input: Vec<u8>, most: usize) -> Self {
        let state = State { input, at: 0, output: Vec::new(), most, calls: 0, ended: false };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl State {
    /// Every second call fails, as a signal or a timeout has it.
    fn fault(&mut self) -> io::Result<()> {
        self.calls += 1;
        match self.calls % 4 {
            1 => Err(ErrorKind::WouldBlock.into()),
            3 => Err(ErrorKind::Interrupted.into()),
            _ => Ok(()),
        }
    }
}

impl Transport for Memory {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap();
        state.fault()?;
        let len = buf.len().min(state.most).min(state.input.len() - state.at);
        let at = state.at;
        buf[..len].copy_from_slice(&state.input[at..at + len]);
        state.at += len;
        Ok(len)
    }
    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap();
        state.fault()?;
        assert!(!state.ended, "a write behind the end");
        let first = bufs.iter().find(|buf| !buf.is_empty()).expect("something to write");
        let len = first.len().min(state.most);
        state.output.extend(&first[..len]);
        Ok(len)
    }
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        assert_ne!(timeout, Some(Duration::ZERO));
        Ok(())
    }
    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        assert_ne!(timeout, Some(Duration::ZERO));
        Ok(())
    }
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.lock().unwrap().ended |= how != Shutdown::Read;
        Ok(())
    }
    fn set_nonblocking(&self, _: bool) -> io::Result<()> {
        Ok(())
    }
}

/// Has the session's handshake with a client, over a stream with faults, and then the conversation.
#[test]
fn a_stream_with_faults() {
    let message: Vec<u8> = noise(1).take(40_000).collect();
    let sent = [r0().bytes(), frame(PING, "x"), frame(BINARY, &message), close(1000, "")].concat();
    for most in [1, 5, 1000, usize::MAX] {
        let memory = Memory::new(Vec::new(), most);
        let tls = TlsStream::new(memory.clone(), SERVER.clone()).unwrap();
        let mut conn = session(&CLIENT);
        // The handshake: each side's bytes are the other's next ones.
        let mut buf = [0; 2048];
        while conn.is_handshaking() || conn.wants_write() {
            let bytes = crate::ciphertext(&mut conn);
            memory.0.lock().unwrap().input.extend(bytes);
            loop {
                let all_read = {
                    let state = memory.0.lock().unwrap();
                    state.at == state.input.len()
                };
                match Transport::read(&tls, &mut buf) {
                    Err(error)
                        if matches!(
                            error.kind(),
                            ErrorKind::WouldBlock | ErrorKind::Interrupted
                        ) => {}
                    // All that there was is used up, which reads as the end of the stream here.
                    Ok(0) => unreachable!("{most}"),
                    Err(error) => panic!("{most}: {error}"),
                    Ok(len) => panic!("{len} bytes of plaintext"),
                }
                let state = memory.0.lock().unwrap();
                if all_read && state.at == state.input.len() {
                    break;
                }
            }
            let output = std::mem::take(&mut memory.0.lock().unwrap().output);
            let mut output = &output[..];
            while !output.is_empty() {
                conn.read_tls(&mut output).unwrap();
                conn.process_new_packets().unwrap();
            }
            if tls.info().is_some() {
                break;
            }
        }
        let bytes = encrypt(&mut conn, &sent);
        memory.0.lock().unwrap().input.extend(bytes);
        let upgrade = Upgrade::handshake(tls, &Config::default()).expect("a request");
        let mut server = upgrade.accept(&Accept::new()).expect("a stream");
        let ended = echo(&mut server);
        assert!(ended.result.is_ok() && ended.messages == 1, "{ended:?}");
        drop(server);
        let output = std::mem::take(&mut memory.0.lock().unwrap().output);
        let mut plaintext = Vec::new();
        let mut output = &output[..];
        while !output.is_empty() {
            conn.read_tls(&mut output).unwrap();
            let state = conn.process_new_packets().unwrap();
            let mut piece = vec![0; state.plaintext_bytes_to_read()];
            conn.reader().read_exact(&mut piece).unwrap();
            plaintext.extend(piece);
        }
        let expected = [&b"\x8a\x01x\x82\x7e\x9c\x40"[..], &message, b"\x88\x02\x03\xe8"].concat();
        assert!(plaintext[129..] == expected, "{most}");
    }
}
