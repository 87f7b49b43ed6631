//! Queues before connections: what goes out, in which order, and who waits for whom.

use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use barews::{
    Accept, CloseCode, Config, Connection, Deadline, Error, Message, MessageType, OwnedMessage,
    SendQueue, Sender, Transport, TrySendError, Upgrade, broadcast,
};

use crate::common::{
    Frame, PATIENCE, PING, RawClient, TEXT, TestServer, close, frame, ms, pair, r0, with_timeouts,
};

/// What a message counts beside its payload.
const OVERHEAD: usize = 128;

/// More than a system keeps for a peer that does not read, in bytes.
const MUCH: usize = 16 << 20;

/// Tests that are over wait for no Close.
fn hasty() -> Config {
    with_timeouts(|timeouts| timeouts.close = ms(100))
}

fn queue(sender: &Sender) -> SendQueue {
    sender.queued(MUCH).expect("a thread")
}

/// A connection with a queue whose peer will not read: as much of `message` is queued as it takes for
/// the queue to stand still.
fn stuck(sender: &Sender, message: &OwnedMessage) -> (SendQueue, usize) {
    let (queue, mut sent) = (queue(sender), 0);
    while !stands_still(&queue) {
        while queue.try_send(message) == Ok(()) {
            sent += 1;
        }
    }
    (queue, sent)
}

/// Whether the queue is full for as long as a peer that reads would take to change that.
fn stands_still(queue: &SendQueue) -> bool {
    let full = queue.max_bytes() - (1 << 20);
    !queue.is_closed() && queue.queued_bytes() > full && !queue.wait_for_room(full, ms(300))
}

/// What a connection that has ended had queued is given back, also what was being written.
fn is_freed(queue: &SendQueue) {
    let deadline = Instant::now() + PATIENCE;
    while !queue.is_empty() {
        assert!(Instant::now() < deadline, "{queue:?}");
        thread::yield_now();
    }
}

#[test]
fn messages_of_every_length_in_their_order() {
    let (conn, mut client) = pair(&hasty());
    let (receiver, sender) = conn.split();
    let queue = queue(&sender);
    let lens = [0, 1, 125, 126, 127, 5000, 16 << 10, (16 << 10) + 1, 65_535, 65_536, 3 << 20];
    let messages: Vec<OwnedMessage> = (0..500)
        .map(|number| match number % 40 {
            0 => vec![number as u8; lens[number / 40 % lens.len()]].into(),
            _ => format!("message {number}").into(),
        })
        .collect();
    for message in &messages {
        queue.try_send(message).unwrap();
    }
    for message in &messages {
        let payload = message.as_bytes();
        client.expect(&match message.kind() {
            MessageType::Text => Frame::text(payload),
            MessageType::Binary => Frame::binary(payload),
        });
    }
    assert!(queue.flush(PATIENCE).unwrap());
    let bytes: usize = messages.iter().map(OwnedMessage::len).sum();
    assert_eq!((queue.sent_messages(), queue.sent_bytes()), (500, bytes as u64));
    assert!(queue.is_empty() && queue.queued_bytes() == 0);
    client.send(close(1000, ""));
    drop((receiver, queue));
    client.expect_close(1000);
}

/// Each message counts, so that empty ones are not free.
#[test]
fn the_bound_holds_for_empty_messages_and_for_long_ones() {
    let (conn, _client) = pair(&hasty());
    let (_receiver, sender) = conn.split();
    let (stuck, _) = stuck(&sender, &vec![0; 1 << 20].into());
    // Another queue waits for the first, so nothing of it goes out.
    let small = sender.queued(10_000).unwrap();
    let mut queued = 0;
    while small.try_send(&"".into()).is_ok() {
        queued += 1;
    }
    assert_eq!(queued, 10_000 / OVERHEAD);
    assert_eq!((small.len(), small.queued_bytes()), (queued, queued * OVERHEAD));
    assert_eq!(small.try_send(&"".into()), Err(TrySendError::Full));
    let long = sender.queued(1000).unwrap();
    assert_eq!(long.try_send(&vec![0; 1001 - OVERHEAD].into()), Err(TrySendError::Full));
    // Nobody waits for room that there never is.
    assert_eq!(long.send(&vec![0; 1000].into(), PATIENCE), Err(TrySendError::Full));
    assert_eq!(long.try_send(&vec![0; 1000 - OVERHEAD].into()), Ok(()));
    assert_eq!(long.send(&"".into(), ms(20)), Err(TrySendError::Full));
    assert!(!long.flush(ms(20)).unwrap());
    assert!(format!("{long:?}").contains("queued_bytes: 1000"));
    // What has not gone out by the end is given back.
    drop(stuck);
    sender.close(CloseCode::NORMAL, "").unwrap();
    for queue in [small, long] {
        assert!(queue.is_closed() && queue.queued_bytes() == 0 && queue.is_empty());
        assert_eq!(queue.try_send(&"".into()), Err(TrySendError::Closed));
        assert!(queue.wait_for_room(0, Duration::ZERO));
        assert!(matches!(queue.flush(PATIENCE), Err(Error::Closed)));
    }
}

/// Peers that never read hold up nobody, and each call returns at once.
#[test]
fn nobody_waits_for_those_who_do_not_read() {
    let (say, said) = channel();
    let server = TestServer::with_handler(
        |server| server,
        move |conn: Connection| {
            let (mut receiver, sender) = conn.split();
            let _ = say.send(sender.queued(1 << 20)?);
            while receiver.recv(&mut Vec::new())?.is_some() {}
            Ok(())
        },
    );
    let open = || (server.open(), said.recv_timeout(PATIENCE).unwrap());
    let stuck: Vec<_> = (0..20).map(|_| open()).collect();
    let mut readers: Vec<_> = (0..5).map(|_| open()).collect();
    let filler = OwnedMessage::from(vec![0; 64 << 10]);
    let deadline = Instant::now() + PATIENCE;
    let is_full = |queue: &SendQueue| queue.try_send(&filler) == Err(TrySendError::Full);
    // Until they stay so for as long as a peer that reads would take to change that.
    while !stuck.iter().all(|(_, queue)| is_full(queue)) || !stands_still(&stuck[0].1) {
        assert!(Instant::now() < deadline);
    }
    let mut slowest = Duration::ZERO;
    for round in 0..50 {
        let message = OwnedMessage::from(format!("round {round}"));
        let start = Instant::now();
        let told = broadcast(stuck.iter().chain(&readers).map(|(_, queue)| queue), &message);
        assert!(told.closed == 0 && told.queued >= 5, "{told:?}");
        assert!(told.full.iter().all(|full| stuck.iter().any(|(_, queue)| queue.same_queue(full))));
        assert_eq!(told.queued + told.full.len(), 25);
        for (client, _) in &mut readers {
            client.expect(&Frame::text(message.as_bytes()));
        }
        slowest = slowest.max(start.elapsed());
    }
    // It took a few milliseconds, and a peer that is waited for takes 10 s.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // The others can end at any time, too.
    for (mut client, queue) in readers {
        queue.close(CloseCode(4000), "enough").unwrap();
        assert_eq!(client.read_frame(), Some(Frame::close(4000, "enough")));
        client.send(close(4000, "enough"));
        client.expect_eof();
    }
}

/// The peer has the write timeout for what was begun, as it has for any other write.
#[test]
fn a_peer_that_does_not_read_has_the_write_timeout() {
    let config = with_timeouts(|timeouts| timeouts.write = ms(300));
    let (conn, client) = pair(&config);
    let (mut receiver, sender) = conn.split();
    let queue = queue(&sender);
    while queue.try_send(&vec![0; 60_000].into()).is_ok() {}
    let start = Instant::now();
    let error = receiver.recv(&mut Vec::new()).unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded(Deadline::Write)), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(queue.try_send(&"".into()), Err(TrySendError::Closed));
    is_freed(&queue);
    drop(client);
}

/// §5.5: control frames and a Close wait for the frame that is under way, and for no other; nothing
/// comes into the middle of it.
#[test]
fn control_frames_wait_for_the_frame_that_is_under_way() {
    let (conn, mut client) = pair(&hasty());
    let (mut receiver, sender) = conn.split();
    let message = OwnedMessage::from(vec![7; 1 << 20]);
    let (queue, _) = stuck(&sender, &message);
    client.send([frame(PING, "a"), frame(PING, "b"), frame(TEXT, "come")].concat());
    let mut buf = Vec::new();
    assert_eq!(receiver.recv(&mut buf).unwrap(), Some(Message::from("come")));
    // Neither waits for the peer.
    sender.ping(b"c").unwrap();
    sender.close(CloseCode::NORMAL, "now").unwrap();
    assert!(queue.is_closed());
    let reader = thread::spawn(move || receiver.recv(&mut Vec::new()).map(|_| ()));
    let mut frames = Vec::new();
    while let Some(frame) = client.read_frame() {
        if frame.opcode == 8 {
            assert_eq!(frame, Frame::close(1000, "now"));
            client.send(close(1000, ""));
        }
        frames.push(frame);
    }
    let messages = frames.iter().take_while(|frame| **frame == Frame::binary(message.as_bytes()));
    let rest = frames.len() - messages.count();
    let expected =
        [Frame::pong("a"), Frame::pong("b"), Frame::new(PING, "c"), Frame::close(1000, "now")];
    assert_eq!(frames[frames.len() - rest..], expected);
    reader.join().unwrap().unwrap();
}

/// Who is too slow for what is queued gets a Close in place of it.
#[test]
fn a_queue_that_is_closed_at_once() {
    let (conn, mut client) = pair(&hasty());
    let (mut receiver, sender) = conn.split();
    let (queue, sent) = stuck(&sender, &vec![7; 1 << 20].into());
    let dropped = Arc::new(());
    let last = OwnedMessage::from("never sent").with_guard(Arc::clone(&dropped));
    queue.try_send(&last).unwrap();
    drop(last);
    assert_eq!(Arc::strong_count(&dropped), 2);
    queue.close_now(CloseCode::TRY_AGAIN_LATER, "too slow").unwrap();
    assert_eq!(Arc::strong_count(&dropped), 1);
    assert!(queue.queued_bytes() <= (1 << 20) + OVERHEAD);
    assert_eq!(queue.try_send(&"".into()), Err(TrySendError::Closed));
    let reader = thread::spawn(move || receiver.recv(&mut Vec::new()).map(|_| ()));
    let mut messages = 0;
    loop {
        let frame = client.read_frame().expect("a Close");
        if frame.opcode == 8 {
            assert_eq!(frame, Frame::close(1013, "too slow"));
            break;
        }
        assert_eq!(frame.payload.len(), 1 << 20);
        messages += 1;
    }
    assert!(messages < sent, "{messages} of {sent}");
    client.send(close(1013, ""));
    reader.join().unwrap().unwrap();
}

/// §5.4: a message in fragments is not interrupted, and what is queued meanwhile follows it.
#[test]
fn a_message_in_fragments_is_waited_for() {
    let (conn, mut client) = pair(&hasty());
    let (_receiver, sender) = conn.split();
    let queue = queue(&sender);
    let mut writer = sender.writer(MessageType::Text);
    writer.write_all(b"a").unwrap();
    queue.try_send(&"queued".into()).unwrap();
    assert!(!queue.flush(ms(50)).unwrap());
    writer.write_all(b"b").unwrap();
    writer.finish().unwrap();
    for (first, payload) in [(0x01, "a"), (0x00, "b"), (0x80, ""), (TEXT, "queued")] {
        client.expect(&Frame::new(first, payload));
    }
}

/// Whoever sends beside a queue, by another queue too: frames never mix, and each has its order.
#[test]
fn many_senders_beside_each_other() {
    const MESSAGES: usize = 2000;
    let (conn, mut client) = pair(&hasty());
    let (_receiver, sender) = conn.split();
    let payload = |number: usize| vec![b'x'; if number.is_multiple_of(100) { 40_000 } else { 20 }];
    thread::scope(|scope| {
        for id in 0..4 {
            let (sender, queue) = (sender.clone(), queue(&sender));
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    let text = format!("{id} {number} ");
                    let bytes = [text.as_bytes(), &payload(number)].concat();
                    match id {
                        0 => sender.send(&bytes).unwrap(),
                        1 if number.is_multiple_of(10) => {
                            let mut writer = sender.writer(MessageType::Binary);
                            writer.write_all(&bytes).unwrap();
                            writer.finish().unwrap();
                        }
                        1 => sender.send_owned(&bytes.into()).unwrap(),
                        _ => queue.send(&bytes.into(), PATIENCE).unwrap(),
                    }
                }
            });
        }
        let mut next = [0; 4];
        let mut part = Vec::new();
        while next != [MESSAGES; 4] {
            let frame = client.read_frame().expect("a frame");
            part.extend(frame.payload);
            if !frame.fin {
                continue;
            }
            let mut words = part.splitn(3, |byte| *byte == b' ');
            let mut number = || -> usize {
                std::str::from_utf8(words.next().unwrap()).unwrap().parse().unwrap()
            };
            let (id, at) = (number(), number());
            assert_eq!(at, next[id], "of {id}");
            assert_eq!(words.next().unwrap(), payload(at));
            next[id] += 1;
            part.clear();
        }
    });
}

/// What was queued goes out before the Close that follows from a handler's `Ok`, and in
/// [`Connection::close`]'s, and none of it behind any other.
#[test]
fn the_end_of_a_handler() {
    let server = TestServer::with_handler(
        |server| server,
        |conn: Connection| {
            let how = conn.request().path().to_owned();
            let (mut receiver, sender) = conn.split();
            let queue = queue(&sender);
            for number in 0..1000 {
                queue.try_send(&format!("{number}").into())?;
            }
            match &*how {
                "/ok" => Ok(()),
                "/close" => Ok(queue.close(CloseCode(4001), "behind")?),
                "/dropped" => {
                    // Nobody has it, and it goes out all the same.
                    drop((queue, sender));
                    receiver.recv(&mut Vec::new())?;
                    Ok(())
                }
                "/err" => Err("on purpose".into()),
                _ => panic!("on purpose"),
            }
        },
    );
    for (path, code) in
        [("/ok", 1000), ("/close", 4001), ("/dropped", 1000), ("/err", 1011), ("/panic", 1011)]
    {
        let mut client = server.connect();
        client.send(r0().target(path).bytes());
        client.expect_upgrade();
        let mut next = 0;
        let close = loop {
            let frame = client.read_frame().expect("a Close");
            if frame.opcode == 8 {
                break frame;
            }
            assert_eq!(frame, Frame::text(next.to_string()), "{path}");
            next += 1;
            if path == "/dropped" && next == 1000 {
                client.send(crate::common::close(1000, ""));
            }
        };
        assert_eq!(close.close_parts().0, code, "{path}");
        if code != 1011 {
            assert_eq!(next, 1000, "{path}");
        }
    }
}

/// A peer that does not take what is queued delays the end by the close timeout.
#[test]
fn the_end_waits_for_the_close_timeout() {
    let config = with_timeouts(|timeouts| timeouts.close = ms(300));
    let (conn, _client) = pair(&config);
    let (receiver, sender) = conn.split();
    let (queue, _) = stuck(&sender, &vec![0; 1 << 20].into());
    let start = Instant::now();
    drop(receiver);
    assert!((ms(300)..Duration::from_secs(5)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(queue.try_send(&"".into()), Err(TrySendError::Closed));
    // Nothing of it is kept, not even the descriptor.
    drop(sender);
    is_freed(&queue);
    let deadline = Instant::now() + PATIENCE;
    while queue.sender().is_some() {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
}

/// §7.4.1: at shutdown the Close comes at once, behind what was begun.
#[test]
fn the_server_shuts_down() {
    let (say, said) = channel();
    let mut server = TestServer::with_handler(
        |server| server,
        move |conn: Connection| {
            let (mut receiver, sender) = conn.split();
            say.send(stuck(&sender, &vec![0; 1 << 20].into())).unwrap();
            while receiver.recv(&mut Vec::new())?.is_some() {}
            Ok(())
        },
    );
    let mut client = server.open();
    let (queue, sent) = said.recv_timeout(PATIENCE).unwrap();
    let handle = server.handle.clone();
    let stop = thread::spawn(move || handle.shutdown(PATIENCE));
    while !queue.is_closed() {
        thread::yield_now();
    }
    let mut messages = 0;
    loop {
        let frame = client.read_frame().expect("a Close");
        if frame.opcode == 8 {
            assert_eq!(frame.close_parts().0, 1001);
            break;
        }
        assert_eq!(frame.payload.len(), 1 << 20);
        messages += 1;
    }
    assert!(messages < sent, "{messages} of {sent}");
    client.send(close(1001, ""));
    client.expect_eof();
    drop(client);
    stop.join().unwrap();
    server.stop(Duration::ZERO);
}

#[test]
fn what_was_sent_is_told() {
    let (conn, mut client) = pair(&hasty());
    let (_receiver, sender) = conn.split();
    let queue = queue(&sender);
    let told = Arc::new(Mutex::new(Vec::new()));
    queue.on_sent({
        let told = Arc::clone(&told);
        let clone = queue.clone();
        move |message| {
            // It is queued no more, so that whoever waits for room may be told from here.
            assert!(clone.is_empty() && clone.queued_bytes() == 0, "{clone:?}");
            told.lock().unwrap().push(message.as_bytes().to_vec());
        }
    });
    let payloads = [vec![1], vec![2; 70_000], vec![], vec![3]];
    for payload in &payloads {
        queue.try_send(&payload.clone().into()).unwrap();
        client.expect(&Frame::binary(payload));
        // The peer may have it sooner than it is told.
        assert!(queue.flush(PATIENCE).unwrap());
    }
    assert_eq!(*told.lock().unwrap(), payloads);
    assert_eq!(Arc::strong_count(&told), 2);
    // A panic in there costs this connection alone, and leaves nothing behind.
    queue.on_sent(|_| panic!("on purpose"));
    assert_eq!(Arc::strong_count(&told), 1);
    queue.try_send(&"x".into()).unwrap();
    client.expect(&Frame::text("x"));
    client.read_rest();
    let (conn, mut client) = pair(&hasty());
    let (_receiver, sender) = conn.split();
    self::queue(&sender).try_send(&"still here".into()).unwrap();
    client.expect(&Frame::text("still here"));
}

/// A TCP stream as another transport has it.
struct Odd {
    stream: TcpStream,
    kind: Kind,
    writes: AtomicU64,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// It has no mode in which it never waits.
    Blocking,
    /// It panics in its third write.
    Panics,
    /// It writes a byte at a time.
    Dribbles,
}

impl Transport for Odd {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        Transport::read(&self.stream, buf)
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let writes = self.writes.fetch_add(1, Ordering::Relaxed);
        assert!(self.kind != Kind::Panics || writes < 2, "on purpose");
        let buf = bufs.iter().find(|buf| !buf.is_empty()).unwrap();
        let len = if self.kind == Kind::Dribbles { 1 } else { buf.len() };
        (&self.stream).write(&buf[..len])
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self.kind {
            Kind::Blocking => Err(io::ErrorKind::Unsupported.into()),
            Kind::Panics | Kind::Dribbles => self.stream.set_nonblocking(nonblocking),
        }
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }
}

/// A connection over such a transport.
fn odd(kind: Kind) -> (Connection, RawClient) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = RawClient::connect(listener.local_addr().unwrap());
    client.send(r0().bytes());
    let stream = listener.accept().unwrap().0;
    let odd = Odd { stream, kind, writes: AtomicU64::new(0) };
    let upgrade = Upgrade::handshake(odd, &hasty()).unwrap();
    let conn = upgrade.accept(&Accept::new()).unwrap();
    client.expect_upgrade();
    (conn, client)
}

#[test]
fn other_transports() {
    for kind in [Kind::Blocking, Kind::Dribbles] {
        let (conn, mut client) = odd(kind);
        let (_receiver, sender) = conn.split();
        let queue = queue(&sender);
        for number in 0..100 {
            queue.try_send(&format!("number {number}").into()).unwrap();
        }
        for number in 0..100 {
            client.expect(&Frame::text(format!("number {number}")));
        }
        if kind == Kind::Blocking {
            let (queue, sent) = stuck(&sender, &vec![1; 1 << 20].into());
            for _ in 0..sent {
                client.expect(&Frame::binary(vec![1; 1 << 20]));
            }
            assert!(queue.flush(PATIENCE).unwrap());
        }
    }
}

/// A transport that panics ends its connection, for its reader too, and no other.
#[test]
fn a_transport_that_panics() {
    let (conn, mut client) = odd(Kind::Panics);
    let (mut receiver, sender) = conn.split();
    let queue = queue(&sender);
    queue.try_send(&"first".into()).unwrap();
    client.expect(&Frame::text("first"));
    let reader = thread::spawn(move || receiver.recv(&mut Vec::new()).map(|_| ()));
    queue.try_send(&"second".into()).unwrap();
    assert!(matches!(queue.flush(PATIENCE), Err(Error::Closed)));
    assert!(reader.join().unwrap().is_err());
    client.read_rest();
    let (conn, mut client) = pair(&hasty());
    let (_receiver, sender) = conn.split();
    self::queue(&sender).try_send(&"still here".into()).unwrap();
    client.expect(&Frame::text("still here"));
}

/// A reader waits beside it without noticing: its own timeout is as long as ever, and so is what it
/// receives.
#[test]
fn a_receiver_beside_it_is_not_disturbed() {
    let (conn, mut client) = pair(&hasty());
    let (mut receiver, sender) = conn.split();
    let queue = queue(&sender);
    receiver.set_recv_timeout(Some(ms(200)));
    let stop = Arc::new(Mutex::new(false));
    let writer = thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let mut sent = 0;
            while !*stop.lock().unwrap() {
                match queue.try_send(&"x".into()) {
                    Ok(()) => sent += 1,
                    // Nobody reads before the end.
                    Err(TrySendError::Full) => {}
                    Err(closed) => panic!("{closed}"),
                }
                // So many system calls, and not so much that it stands still.
                thread::sleep(Duration::from_micros(50));
            }
            sent
        }
    });
    for _ in 0..3 {
        let start = Instant::now();
        let error = receiver.recv(&mut Vec::new()).unwrap_err();
        assert!(matches!(error, Error::RecvTimeout), "{error:?}");
        assert!(start.elapsed() >= ms(200), "{:?}", start.elapsed());
    }
    for number in 0..200 {
        client.send(frame(TEXT, number.to_string()));
        let mut buf = Vec::new();
        let message = receiver.recv(&mut buf).unwrap().unwrap();
        assert_eq!(message, Message::from(&number.to_string()));
    }
    *stop.lock().unwrap() = true;
    for _ in 0..writer.join().unwrap() {
        client.expect(&Frame::text("x"));
    }
}

/// A Unix-domain socket writes piece by piece, and its system grants a timeout anew to each.
#[cfg(unix)]
#[test]
fn a_unix_domain_socket() {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    let (stream, mut client) = UnixStream::pair().unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(&r0().bytes()).unwrap();
    let upgrade = Upgrade::handshake(stream, &hasty()).unwrap();
    let (_receiver, sender) = upgrade.accept(&Accept::new()).unwrap().split();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let message = OwnedMessage::from(vec![7; 300_000]);
    let (queue, sent) = stuck(&sender, &message);
    for _ in 0..sent {
        let frame = Frame::read(&mut client).unwrap();
        assert_eq!(frame, Some(Frame::binary(message.as_bytes())));
    }
    assert!(queue.flush(PATIENCE).unwrap());
    queue.close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(Frame::read(&mut client).unwrap(), Some(Frame::close(1000, "")));
}
