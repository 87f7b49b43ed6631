//! Bytes below the plaintext: cut anywhere, changed anywhere.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barews::{Accept, Config, TlsStream, Transport, Upgrade};

use crate::common::tls::{CLIENT, SERVER, session};
use crate::common::{BINARY, CLOSE, PING, close, echo, frame, noise, r0};
use crate::{by_hand, echo_server, encrypt, read_plaintext};

/// Ciphertext that comes byte by byte, and records of one byte.
#[test]
fn byte_by_byte() {
    let server = echo_server(|server| server);
    // One byte a segment.
    let (mut tcp, mut conn) = by_hand(server.addr);
    let bytes = [r0().bytes(), frame(BINARY, [3; 300]), close(1000, "")].concat();
    for byte in encrypt(&mut conn, &bytes).chunks(1) {
        tcp.write_all(byte).unwrap();
    }
    let answer = read_plaintext(&mut tcp, &mut conn, 129 + 304 + 4);
    assert_eq!(answer[129..][..4], [0x82, 126, 1, 44]);
    assert_eq!(answer[129 + 304..], [CLOSE, 2, 3, 232]);

    // One byte a record, all of them in one write.
    let (mut tcp, mut conn) = by_hand(server.addr);
    let bytes = [r0().bytes(), frame(BINARY, vec![3; 70_000]), close(1000, "")].concat();
    let records: Vec<u8> = bytes.chunks(1).flat_map(|byte| encrypt(&mut conn, byte)).collect();
    tcp.write_all(&records).unwrap();
    let answer = read_plaintext(&mut tcp, &mut conn, 129 + 70_010 + 4);
    assert_eq!(answer[129 + 70_010..], [CLOSE, 2, 3, 232]);
}

/// Records of every length, and messages that begin and end anywhere in them.
#[test]
fn records_of_all_lengths() {
    let server = echo_server(|server| server);
    let (mut tcp, mut conn) = by_hand(server.addr);
    tcp.write_all(&encrypt(&mut conn, &r0().bytes())).unwrap();
    read_plaintext(&mut tcp, &mut conn, 129);
    let messages: Vec<_> = (1..60_u32).map(|n| noise(n).take((n * n * 31) as usize)).collect();
    let messages: Vec<Vec<u8>> = messages.into_iter().map(Iterator::collect).collect();
    let bytes: Vec<u8> = messages.iter().flat_map(|message| frame(BINARY, message)).collect();
    let mut rest = &bytes[..];
    let mut len = 1;
    let mut records = Vec::new();
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(len.min(rest.len()));
        records.extend(encrypt(&mut conn, piece));
        rest = more;
        len = len * 7 % 20_011;
    }
    let mut writing = tcp.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for piece in records.chunks(4099) {
            writing.write_all(piece).unwrap();
        }
    });
    for message in messages {
        let header = if message.len() < 126 {
            2
        } else if message.len() < 65_536 {
            4
        } else {
            10
        };
        let echo = read_plaintext(&mut tcp, &mut conn, header + message.len());
        assert!(echo[header..] == message, "{} bytes", message.len());
    }
    writer.join().unwrap();
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

/// Whatever stands in place of the ciphertext, at any point of a conversation: an error at the most,
/// and the server goes on.
#[test]
fn changed_bytes() {
    let server = echo_server(|server| server);
    for seed in 0..300_u32 {
        let (mut tcp, mut conn) = by_hand(server.addr);
        let mut bytes = encrypt(&mut conn, &r0().bytes());
        bytes.extend(encrypt(&mut conn, &frame(BINARY, [1; 500])));
        let mut random = noise(seed + 1);
        let mut next = || random.next().unwrap() as usize | (random.next().unwrap() as usize) << 8;
        match seed % 3 {
            // A bit, anywhere.
            0 => {
                let at = next() % bytes.len();
                bytes[at] ^= 1 << (next() % 8);
            }
            // Something of the header, which is not encrypted.
            1 => bytes[next() % 5] = next() as u8,
            // The end, anywhere, with noise behind it.
            _ => {
                bytes.truncate(next() % bytes.len());
                let len = next() % 2000;
                bytes.extend(noise(seed + 1000).take(len));
            }
        }
        let _ = tcp.write_all(&bytes);
        let _ = tcp.shutdown(Shutdown::Write);
        let _ = tcp.read_to_end(&mut Vec::new());
        // Opened or not, it has ended.
        let report = server.report(tcp.local_addr().unwrap());
        let text = format!("{report:?}");
        assert!(!text.contains("anick"), "{seed}: {text}");
    }
    crate::connect(server.addr).opened().finish();
}
