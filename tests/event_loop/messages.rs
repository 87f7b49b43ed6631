use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use barews::{BoxError, Config, Message, Status};

use super::common::*;
use super::server::{Call, Hooks, LoopServer, config, echo, over_tls, over_unix, two_handles};

/// The handler of the documentation.
#[test]
fn an_echo() {
    let server = LoopServer::start(Config::default(), Hooks::echo());
    let mut client = server.open();
    for len in [0, 1, 125, 126, 1000, 65_535, 65_536, 100_000, 300_000] {
        let payload: Vec<u8> = noise(len as u32 + 1).take(len).collect();
        client.send(frame(BINARY, &payload));
        client.expect(&Frame::binary(&payload));
        let text = "é".repeat(len / 2);
        client.send(frame(TEXT, &text));
        client.expect(&Frame::text(&text));
    }
    client.finish();
    server.expect_clean_end(&client, 1000);
}

#[test]
fn fragments_and_control_frames_between_them() {
    let server = LoopServer::echo();
    let sent = [
        frame(0x01, "κό"),
        frame(PING, "?"),
        frame(0x00, ""),
        frame(PONG, "unasked"),
        frame(CONT, "σμε"),
        frame(PING, ""),
        frame(0x02, [1; 300]),
        frame(CONT, [2; 70_000]),
    ]
    .concat();
    for size in [1, 7, 1000, usize::MAX] {
        let mut client = server.open();
        for piece in sent.chunks(size.min(sent.len())).take(2000) {
            client.send(piece);
        }
        client.send(&sent[sent.len().min(size.min(sent.len()).saturating_mul(2000))..]);
        client.expect(&Frame::pong("?"));
        client.expect(&Frame::text("κόσμε"));
        client.expect(&Frame::pong(""));
        client.expect(&Frame::binary([vec![1; 300], vec![2; 70_000]].concat()));
        client.finish();
        let (calls, closed) = server.until_closed(&client);
        let wanted =
            ["opened", "ping ?", "pong unasked", "message κόσμε", "ping ", "message of 70300"];
        assert_eq!(calls, wanted, "pieces of {size}");
        assert!(closed.error.is_none());
    }
}

/// Longer than any socket has room for, in one frame and in many.
#[test]
fn sixteen_mebibytes() {
    let server = LoopServer::echo();
    let payload: Vec<u8> = noise(7).take(16 << 20).collect();
    let one = frame(BINARY, &payload);
    let mut many: Vec<u8> = payload.chunks(1 << 20).flat_map(|part| frame(0x00, part)).collect();
    many[0] = 0x02;
    many.extend(frame(CONT, ""));
    for sent in [one, many] {
        let mut client = server.open();
        client.send(sent);
        client.expect(&Frame::binary(&payload));
        client.finish();
        server.expect_clean_end(&client, 1000);
    }
    // A byte more is too much, and the header says so.
    let mut client = server.open();
    client.send(head(BINARY, (16 << 20) + 1));
    client.expect_close(1009);
}

/// More answers than there is room for, of requests that came together: all of them, in order.
#[test]
fn many_in_one_segment() {
    let server = LoopServer::echo();
    let count = 20_000;
    let sent: Vec<u8> = (0..count)
        .flat_map(|at: u32| match at % 10 {
            9 => frame(PING, at.to_string()),
            _ => frame(TEXT, format!("{at}{}", "x".repeat(at as usize % 300))),
        })
        .collect();
    let Some((mut client, mut writer)) = two_handles(server.open()) else { return };
    thread::scope(|scope| {
        scope.spawn(|| writer.send(&sent));
        for at in 0..count {
            client.expect(&match at % 10 {
                9 => Frame::pong(at.to_string()),
                _ => Frame::text(format!("{at}{}", "x".repeat(at as usize % 300))),
            });
        }
    });
    client.finish();
}

/// It comes right behind the 101, before the answers to what came with the request.
#[test]
fn a_greeting() {
    let hooks = Hooks::new(|call, conn, out| match call {
        Call::Opened => {
            out.ping(b"there?")?;
            Ok(out.send("welcome")?)
        }
        call => echo(call, conn, out),
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    for cut in [0, 1, 30, 170] {
        let sent =
            [r0().bytes(), frame(TEXT, "first"), frame(PONG, "there?"), frame(TEXT, "second")]
                .concat();
        let mut client = server.connect();
        client.dribble(&sent[..cut]);
        client.send(&sent[cut..]);
        client.expect_upgrade();
        client.expect(&Frame::new(PING, "there?"));
        client.expect(&Frame::text("welcome"));
        client.expect(&Frame::text("first"));
        client.expect(&Frame::text("second"));
        client.finish();
        let (calls, _) = server.until_closed(&client);
        assert_eq!(calls, ["opened", "message first", "pong there?", "message second"]);
    }
}

#[test]
fn open_rejects_and_panics() {
    let hooks = Hooks::echo().open(|request, _| match request.target() {
        "/no" => Err(barews::Response::new(Status::FORBIDDEN, "not you\n")),
        "/panic" => panic!("of the test"),
        _ => Ok(()),
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.connect();
    // What follows it is thrown away.
    client.send([r0().target("/no").bytes(), frame(TEXT, "late")].concat());
    assert_eq!(client.expect_refusal(403).body, b"not you\n");
    assert!(server.error(&client).contains("403"));
    let mut client = server.connect();
    client.send(r0().target("/panic").bytes());
    client.expect_refusal(500);
    assert!(server.error(&client).contains("of the test"));
    assert!(server.next_within(client.addr, ms(50)).is_none(), "it was never open");
    server.open().finish();
}

#[test]
fn what_is_sent_in_one_call_goes_out_together() {
    let hooks = Hooks::new(|call, _, out| -> Result<(), BoxError> {
        if let Call::Message(message) = call {
            let count: usize = message.as_text().unwrap().parse()?;
            for at in 0..count {
                out.send(at.to_string().as_str())?;
                out.ping(&[at as u8])?;
                out.send(Message::Binary(&vec![at as u8; at * 1000]))?;
            }
            assert_eq!((out.request().target(), out.is_closed()), ("/", false));
        }
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.open();
    // A Unix-domain socket has hardly any room, and what is queued is bounded.
    let count: usize = if over_unix() { 40 } else { 100 };
    client.send(frame(TEXT, count.to_string()));
    for at in 0..count {
        client.expect(&Frame::text(at.to_string()));
        client.expect(&Frame::new(PING, [at as u8]));
        client.expect(&Frame::binary(vec![at as u8; at * 1000]));
    }
    client.finish();
}

/// A read stops at a byte that is out of band. What comes behind it is heard all the same.
#[test]
fn a_byte_out_of_band() {
    if over_tls() {
        return println!("SKIPPED: there would have to be TLS around it");
    }
    let (tell, told) = channel();
    let (go_on, sent) = channel();
    let sent = Mutex::new(sent);
    let hooks = Hooks::new(move |call, conn, out| {
        if let Call::Message(message) = call
            && message.as_text() == Some("wait")
        {
            tell.send(())?;
            // So that all that follows is read at once, as far as that goes.
            sent.lock().unwrap().recv_timeout(PATIENCE)?;
        }
        echo(call, conn, out)
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.open();
    client.send(frame(TEXT, "wait"));
    told.recv_timeout(PATIENCE).expect("a message");
    let stream = client.into_stream();
    let (begin, end) = (&frame(TEXT, "two")[..4], &frame(TEXT, "two")[4..]);
    let sent = stream.socket().send(begin).and_then(|_| stream.socket().send_out_of_band(b"!"));
    let sent = sent.and_then(|_| stream.socket().send(end));
    go_on.send(()).unwrap();
    let mut client = RawClient::over(stream);
    client.expect(&Frame::text("wait"));
    if sent.is_err() {
        return println!("SKIPPED: such sockets have no such byte");
    }
    client.expect(&Frame::text("two"));
    client.finish();
}
