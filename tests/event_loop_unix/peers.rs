//! Peers that do what has another meaning here than on TCP: the kernel tells of other things, at other times.

use std::net::Shutdown;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use barews::Error;

use super::common::stream::Stream;
use super::common::*;
use super::server::{Call, Hooks, LoopServer, Told, config, echo, fill};

/// How soon it must be noticed that a peer is gone: before anything is tried again without news.
const NOTICED: Duration = ms(500);

/// What goes on in the other direction is over for the peer, and there is no room to find it out by writing.
#[test]
fn a_peer_that_ends_both_directions_and_reads_nothing() {
    let (tell, filled) = channel();
    let hooks = Hooks::new(move |call, _, out| {
        if let Call::Message(_) = call {
            fill(out)?;
            tell.send(())?;
        }
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.open();
    client.send(frame(TEXT, "fill"));
    server.expect_calls(&client, &["opened", "message fill"]);
    filled.recv_timeout(PATIENCE).expect("it is filled");
    let addr = client.addr;
    let stream = client.into_stream();
    let start = Instant::now();
    stream.socket().shutdown(Shutdown::Both).unwrap();
    let client = RawClient::over(stream);
    assert_eq!(client.addr, addr);
    let (calls, closed) = server.until_closed(&client);
    assert!(matches!(closed.error, Some(Error::Io(_))), "{closed:?}");
    assert!(calls.len() == 1 && calls[0].starts_with("error"), "{calls:?}");
    assert!(awake(start) < NOTICED, "{:?}", start.elapsed());
}

/// The same for a sender that blocks.
#[test]
fn a_sender_that_blocks_while_the_peer_ends() {
    for closes in [false, true] {
        let (tell, senders) = channel();
        let hooks = Hooks::new(move |call, _, out| {
            if let Call::Opened = call {
                tell.send(out.sender())?;
            }
            Ok(())
        });
        let server = LoopServer::start(config(|_| ()), hooks);
        let client = server.open();
        let sender = senders.recv_timeout(PATIENCE).expect("a sender");
        thread::scope(|scope| {
            let sending = scope.spawn(|| sender.send(&vec![0; 16 << 20][..]));
            // Long enough to fill the socket.
            thread::sleep(ms(100));
            let stream = client.into_stream();
            let start = Instant::now();
            if !closes {
                stream.socket().shutdown(Shutdown::Both).unwrap();
            }
            let kept = Some(stream).filter(|_| !closes);
            assert!(matches!(sending.join().unwrap(), Err(Error::Io(_))), "closes {closes}");
            assert!(awake(start) < NOTICED, "closes {closes}: {:?}", start.elapsed());
            drop(kept);
        });
    }
}

/// Whoever leaves in the middle of a long message, or of what is queued, is noticed.
#[test]
fn a_peer_that_leaves_while_a_long_message_goes_out() {
    let hooks = Hooks::new(|call, _, out| match call {
        Call::Message(_) => Ok(out.send(&vec![7; 16 << 20][..])?),
        _ => Ok(()),
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    for read in [0, 1, 100 << 10, 1 << 20] {
        let mut client = server.open();
        client.send(frame(TEXT, "long"));
        client.read_bytes(10 + read);
        let addr = client.addr;
        let start = Instant::now();
        drop(client);
        let closed = loop {
            if let Told::Closed(closed) = server.next_within(addr, PATIENCE).expect("an end") {
                break closed;
            }
        };
        assert!(matches!(closed.error, Some(Error::Io(_))), "{closed:?}");
        assert!(awake(start) < NOTICED, "{:?}", start.elapsed());
    }
}

/// What was said before an end that is no good one counts, as it does on TCP.
#[test]
fn all_that_was_said_before_the_end_is_heard() {
    let hooks = Hooks::new(|_, _, _| Ok(()));
    let server = LoopServer::start(config(|_| ()), hooks);
    for size in [10, 40 << 10, 300 << 10] {
        let mut client = server.open();
        let message = frame(BINARY, vec![1; size]);
        for _ in 0..20 {
            client.send(&message);
        }
        client.send(close(4001, ""));
        let addr = client.addr;
        drop(client);
        let mut count = 0;
        let closed = loop {
            match server.next_within(addr, PATIENCE).expect("an end") {
                Told::Closed(closed) => break closed,
                Told::Call(call) if call.starts_with("message") => count += 1,
                _ => {}
            }
        };
        assert_eq!((count, closed.code), (20, Some(4001)), "{closed:?}");
        assert!(closed.error.is_none(), "{closed:?}");
    }
}

/// A peer that has said all it has to say, and reads on, has all of what is sent to it.
#[test]
fn a_half_closed_peer_has_all_that_is_queued() {
    let hooks = Hooks::new(|call, _, out| match call {
        Call::Message(_) => Ok(out.send(&vec![7; 4 << 20][..])?),
        _ => Ok(()),
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.open();
    client.send([frame(TEXT, "long"), close(1000, "")].concat());
    client.send_eof();
    client.expect(&Frame::binary(vec![7; 4 << 20]));
    client.expect_close(1000);
    server.expect_clean_end(&client, 1000);
}

/// All are served, wherever they come in, and whichever loop takes them.
#[test]
fn listeners_of_both_kinds_and_several_loops() {
    for loops in [1, 2, 4] {
        let server =
            LoopServer::start(config(|config| config.event_loops = Some(loops)), Hooks::echo());
        let addr = server.addr;
        thread::scope(|scope| {
            for at in 0..100 {
                scope.spawn(move || {
                    let mut client = match at % 2 {
                        0 => RawClient::open(addr),
                        _ => {
                            let tcp = std::net::TcpStream::connect(addr).expect("connect");
                            tcp.set_read_timeout(Some(PATIENCE)).unwrap();
                            RawClient::over(Stream::Tcp(tcp)).opened()
                        }
                    };
                    for at in 0..20 {
                        let text = format!("{at}");
                        client.send(frame(TEXT, &text));
                        client.expect(&Frame::text(&text));
                    }
                    client.finish();
                });
            }
        });
        server.running.shutdown(ms(1000));
        server.running.join().expect("a good end");
        assert!(is_unheard(addr), "{loops} loops");
    }
}

/// Hundreds who wait in a short queue of the listener, more than it has room for.
#[test]
fn a_full_backlog() {
    let hooks = Hooks::new(|call, conn, out| {
        if let Call::Message(message) = call
            && message.as_text() == Some("wait")
        {
            thread::sleep(ms(500));
        }
        echo(call, conn, out)
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut first = server.open();
    first.send(frame(TEXT, "wait"));
    let addr = server.addr;
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(move || {
                let mut clients: Vec<_> = (0..50).map(|_| RawClient::connect(addr)).collect();
                for client in &mut clients {
                    client.send([r0().bytes(), frame(TEXT, "hi"), close(1000, "")].concat());
                }
                for client in &mut clients {
                    client.expect_upgrade();
                    client.expect(&Frame::text("hi"));
                    client.expect_close(1000);
                }
            });
        }
    });
    first.expect(&Frame::text("wait"));
    first.finish();
}
