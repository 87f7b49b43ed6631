//! Queues in bad company: callers' mistakes, and others who leave them no moment.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use barews::{CloseCode, Config, Error, MessageType, OwnedMessage, TrySendError};

use crate::common::{Frame, PATIENCE, PING, close, frame, ms, pair, with_timeouts};

/// §7.4: a code that is kept off the wire changes nothing.
#[test]
fn a_code_that_cannot_be_sent_drops_nothing() {
    let (conn, mut client) = pair(&Config::default());
    let (_receiver, sender) = conn.split();
    let queue = sender.queued(1 << 20).unwrap();
    let mut writer = sender.writer(MessageType::Text);
    std::io::Write::write_all(&mut writer, b"a").unwrap();
    // It waits for the message in fragments.
    queue.try_send(&"queued".into()).unwrap();
    for code in [1004, 1005, 1006, 1015, 999, 5000].map(CloseCode) {
        for refused in [queue.close_now(code, ""), queue.close(code, "")] {
            assert!(matches!(refused, Err(Error::InvalidCloseCode(refused)) if refused == code));
        }
    }
    assert!(!queue.is_closed());
    writer.finish().unwrap();
    client.expect(&Frame::new(0x01, "a"));
    client.expect(&Frame::new(0x80, ""));
    client.expect(&Frame::text("queued"));
    queue.close_now(CloseCode(4000), "").unwrap();
    client.expect(&Frame::close(4000, ""));
    client.send(close(4000, ""));
}

/// Others who send without a break, to a peer that is slower than they are, leave a queue its turn.
#[test]
fn a_queue_has_its_turn_among_busy_senders() {
    let (conn, mut client) = pair(&with_timeouts(|timeouts| timeouts.close = ms(100)));
    let (_receiver, sender) = conn.split();
    let queue = sender.queued(1 << 20).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = sender.send(&[0; 16 << 10][..]);
                }
            });
        }
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if client.read_frame().is_none() {
                    break;
                }
                // A slow link.
                thread::sleep(ms(1));
            }
            while client.read_frame().is_some_and(|frame| frame.opcode != 8) {}
        });
        let mut slowest = Duration::ZERO;
        for _ in 0..10 {
            let before = Instant::now();
            queue.try_send(&"queued".into()).unwrap();
            let _ = queue.flush(PATIENCE);
            slowest = slowest.max(before.elapsed());
        }
        is_over.store(true, Ordering::Relaxed);
        sender.close(CloseCode::NORMAL, "").unwrap();
        assert!(slowest < ms(3000), "{slowest:?}");
    });
}

/// Those who queue little leave room to who waits with much.
#[test]
fn much_has_its_turn_among_those_who_queue_little() {
    let (conn, mut client) = pair(&with_timeouts(|timeouts| timeouts.close = ms(100)));
    let (_receiver, sender) = conn.split();
    let queue = sender.queued(64 << 10).unwrap();
    let (is_over, queued) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut between = thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let message = OwnedMessage::from(vec![0; 1000]);
                while !is_over.load(Ordering::Relaxed) && queue.send(&message, PATIENCE).is_ok() {
                    queued.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        scope.spawn(|| while client.read_frame().is_some_and(|frame| frame.opcode != 8) {});
        let message = OwnedMessage::from(vec![0; 60_000]);
        let much = |_| {
            let before = queued.load(Ordering::SeqCst);
            queue.send(&message, PATIENCE).unwrap();
            queued.load(Ordering::SeqCst) - before
        };
        let between: Vec<_> = (0..21).map(much).collect();
        is_over.store(true, Ordering::Relaxed);
        queue.close_now(CloseCode::NORMAL, "").unwrap();
        between
    });
    between.sort_unstable();
    assert!(between[10] <= 20, "{between:?}");
}

/// All that can send does, with receive timeouts and Pings from the peer, and each queue is dropped
/// while more is in it.
#[test]
fn all_at_once() {
    for round in 0..6 {
        let (conn, mut client) = pair(&with_timeouts(|timeouts| timeouts.close = ms(2000)));
        let (mut receiver, sender) = conn.split();
        receiver.set_recv_timeout(Some(ms(1 + round % 3)));
        let reading = thread::spawn(move || {
            let mut buf = Vec::new();
            let mut timeouts = 0_u32;
            loop {
                let before = Instant::now();
                match receiver.recv(&mut buf) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(Error::RecvTimeout) => {
                        timeouts += 1;
                        assert!(
                            before.elapsed() >= Duration::from_micros(900),
                            "{:?}",
                            before.elapsed()
                        );
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            timeouts
        });
        let senders: Vec<_> = (0..4)
            .map(|id| {
                let sender = sender.clone();
                thread::spawn(move || {
                    for number in 0..300 {
                        let bytes = vec![id as u8; [0, 20, 200, 70_000, 17_000][number % 5]];
                        let sent = match id {
                            0 => sender.send(&bytes),
                            1 => sender.send_sized(
                                MessageType::Binary,
                                bytes.len() as u64,
                                &bytes[..],
                            ),
                            2 => sender.writer(MessageType::Binary).copy_from(&bytes[..]).map(drop),
                            _ => {
                                // Dropped with what is in it; its end is another's.
                                let queue = sender.queued(1 << 20).unwrap();
                                let message = OwnedMessage::from(bytes);
                                let queued = (0..3).try_for_each(|_| queue.try_send(&message));
                                let clone = queue.clone();
                                queue.on_sent(move |_| assert!(clone.len() < 3));
                                sender.ping(b"p").and(queued.map_err(|_| Error::Closed))
                            }
                        };
                        match sent {
                            Ok(()) | Err(Error::Closed) => {}
                            Err(error) => panic!("{id} {number}: {error}"),
                        }
                    }
                })
            })
            .collect();
        let closing = (round % 2 == 1).then(|| {
            let sender = sender.clone();
            thread::spawn(move || {
                let queue = sender.queued(1000).unwrap();
                let _ = queue.try_send(&"last".into());
                queue.close(CloseCode(4000), "").unwrap();
            })
        });
        let mut part: Option<Vec<u8>> = None;
        let mut counts = [0; 4];
        let finisher = thread::spawn(move || {
            senders.into_iter().for_each(|thread| thread.join().unwrap());
            if let Some(closing) = closing {
                closing.join().unwrap();
            }
            let queue = sender.queued(1000).unwrap();
            let _ = queue.close(CloseCode(4000), "");
        });
        loop {
            let frame_ = client.read_frame().expect("a Close");
            match frame_.opcode {
                8 => {
                    assert_eq!(frame_.close_parts().0, 4000);
                    break;
                }
                9 => assert_eq!(frame_.payload, b"p"),
                10 => {}
                opcode => {
                    assert_eq!(opcode == 0, part.is_some());
                    let mut all = part.take().unwrap_or_default();
                    all.extend(&frame_.payload);
                    if !frame_.fin {
                        part = Some(all);
                        continue;
                    }
                    if all == b"last" {
                        continue;
                    }
                    if let Some(first) = all.first() {
                        assert!(all.iter().all(|byte| byte == first), "mixed");
                        counts[*first as usize] += 1;
                        if counts[0] % 10 == 0 && *first == 0 {
                            client.send(frame(PING, "q"));
                        }
                    }
                }
            }
        }
        client.send(close(4000, ""));
        client.expect_eof();
        drop(client);
        finisher.join().unwrap();
        reading.join().unwrap();
        if round % 2 == 0 {
            assert_eq!(counts[..3], [240; 3]);
        }
    }
}

/// Of a connection that was given up for its stream, nothing can be queued any more.
#[test]
fn a_stream_that_is_handed_out_has_no_queues() {
    let (mut conn, _client) = pair(&Config::default());
    let queue = conn.sender().queued(1 << 20).unwrap();
    let _stream = conn.into_stream().unwrap();
    assert!(queue.is_closed());
    assert_eq!(queue.try_send(&"lost".into()), Err(TrySendError::Closed));
}
