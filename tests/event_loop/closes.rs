use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use barews::{BoxError, CloseCode, Config, Deadline, Error, Outbox, OwnedMessage, Sender};

use super::common::*;
use super::server::{Call, Conn, Hooks, LoopServer, config, handing_out, open, over_unix};

/// One that pauses at `pause`.
fn pausing(call: Call<'_>, _: &mut Conn, out: &mut Outbox<'_>) -> Result<(), BoxError> {
    if let Call::Message(message) = call
        && message.as_bytes() == b"pause"
    {
        out.pause_reading();
    }
    Ok(())
}

/// A server that hands out the sender of each connection.
fn server(config: Config) -> (LoopServer, Receiver<Sender>) {
    handing_out(config, Hooks::new(pausing))
}

/// What the peer does at our Close.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Peer {
    Answers,
    IsSilent,
}

/// Who closes, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Sender,
    Queue,
    Shutdown,
}

const LONG: usize = 16 << 20;

/// Others have begun what the peer takes late, and our Close goes out behind it: from then on the answer has its
/// time, whether the handler had the peer read before or not.
#[test]
fn behind_what_others_write() {
    for by in [By::Sender, By::Queue, By::Shutdown] {
        thread::scope(|scope| {
            for is_queued in [true, false].into_iter().filter(|queued| *queued || by != By::Queue) {
                scope.spawn(move || close_behind(by, is_queued, true, Peer::Answers));
                scope.spawn(move || close_behind(by, is_queued, false, Peer::IsSilent));
            }
        });
    }
}

fn close_behind(by: By, is_queued: bool, is_paused: bool, peer: Peer) {
    let config = config(|config| {
        // It is written before the peer has read all that is ahead of it.
        config.timeouts.close = if peer == Peer::Answers { PATIENCE } else { ms(300) };
        config.timeouts.ping_interval = PATIENCE;
    });
    let (server, senders) = server(config);
    let (mut client, sender) = open(&server, &senders);
    server.expect_calls(&client, &["opened"]);
    if is_paused {
        client.send(frame(TEXT, "pause"));
        server.expect_calls(&client, &["message pause"]);
    }
    let queue = sender.queued(2 * LONG).expect("a queue");
    let message = vec![7; LONG];
    let start = thread::scope(|scope| {
        if is_queued {
            queue.try_send(&OwnedMessage::from(message)).expect("room");
        } else {
            let sender = &sender;
            scope.spawn(move || sender.send(&message[..]).expect("it is taken"));
        }
        assert!(client.heard_within(PATIENCE));
        match by {
            By::Sender => sender.close(CloseCode(4000), "bye").unwrap(),
            By::Queue => queue.close(CloseCode(4000), "bye").unwrap(),
            By::Shutdown => server.running.shutdown_handle().start(),
        }
        // That is known long before the peer takes anything, for longer than it has for the answer.
        thread::sleep(ms(400));
        let start = Instant::now();
        assert_eq!(client.read_frame().map(|frame| frame.payload.len()), Some(LONG));
        start
    });
    let code = if by == By::Shutdown { 1001 } else { 4000 };
    let said = client.read_frame().expect("a Close");
    assert_eq!((said.opcode, said.close_parts().0), (8, code));
    if peer == Peer::Answers {
        client.send(close(code, ""));
        client.expect_eof();
        server.expect_clean_end(&client, code);
    } else {
        let _ = client.read_rest();
        let waited = start.elapsed();
        let (calls, closed) = server.until_closed(&client);
        assert_eq!(calls, ["error the close was not answered in time"]);
        assert!(matches!(closed.error, Some(Error::DeadlineExceeded(Deadline::Close))));
        assert!(waited >= ms(300) && waited < ms(300) + 5 * PROMPT, "{waited:?}");
    }
}

/// A queue's Close, which its own thread writes: of several, one at least whose time begins as it is written, and
/// not when it is looked for, once a second.
#[test]
fn a_queue_closes_and_the_peer_does_not_answer() {
    let config = config(|config| {
        config.timeouts.close = ms(300);
        config.timeouts.ping_interval = PATIENCE;
    });
    let (server, senders) = server(config);
    let mut all: Vec<_> = (0..10).map(|_| open(&server, &senders)).collect();
    let start = Instant::now();
    for (_, sender) in &all {
        sender.queued(100).expect("a queue").close(CloseCode(4000), "bye").unwrap();
    }
    let mut fastest = PATIENCE;
    for (client, _) in &mut all {
        client.expect(&Frame::close(4000, "bye"));
        let _ = client.read_rest();
        let waited = start.elapsed();
        assert!(waited >= ms(300) && waited < ms(300) + 5 * PROMPT, "{waited:?}");
        fastest = fastest.min(awake(start));
        let (calls, closed) = server.until_closed(client);
        assert_eq!(calls, ["opened", "error the close was not answered in time"]);
        assert!(matches!(closed.error, Some(Error::DeadlineExceeded(Deadline::Close))));
    }
    assert!(fastest < ms(900), "{fastest:?}");
}

/// A handler may send Pings to whoever has no room for them: nobody on the loop waits for that, and the last one
/// goes out once there is some.
#[test]
fn a_ping_without_room_holds_up_nobody() {
    for closes in [false, true] {
        let slow = Arc::new(Mutex::new(None::<Sender>));
        let (tell, counts) = channel();
        let hooks = Hooks::new({
            let slow = Arc::clone(&slow);
            move |call, _, out| {
                let (Call::Message(_), Some(slow)) = (call, &*slow.lock().unwrap()) else {
                    return Ok(());
                };
                let (start, mut count) = (Instant::now(), 0u32);
                while start.elapsed() < ms(300) {
                    count += 1;
                    slow.ping(&[count.to_be_bytes(); 31].concat())?;
                }
                if closes {
                    slow.close(CloseCode(4000), "bye")?;
                }
                tell.send(count)?;
                Ok(out.send("done")?)
            }
        });
        let hooks = hooks.open(move |_, sender| {
            slow.lock().unwrap().get_or_insert(sender);
            Ok(())
        });
        // Over TCP, nobody knows whether it is full by then.
        let config = config(|config| {
            config.timeouts.close = if over_unix() { ms(300) } else { PATIENCE };
        });
        let server = LoopServer::start(config, hooks);
        let (mut client, mut other) = (server.open(), server.open());
        let start = Instant::now();
        other.send(frame(TEXT, "ping"));
        other.expect(&Frame::text("done"));
        assert!(awake(start) < 5 * PROMPT, "{:?}", start.elapsed());
        // Longer than it has for its answer to a Close, once that is out.
        thread::sleep(ms(600));
        let count = counts.recv_timeout(PATIENCE).unwrap();
        let mut last = 0;
        while last < count {
            let ping = client.read_frame().expect("a Ping");
            let number = u32::from_be_bytes(ping.payload[..4].try_into().unwrap());
            assert!(ping == Frame::new(PING, [number.to_be_bytes(); 31].concat()) && number > last);
            last = number;
        }
        if closes {
            client.expect(&Frame::close(4000, "bye"));
            client.send(close(4000, ""));
            client.expect_eof();
            server.expect_clean_end(&client, 4000);
        } else {
            client.finish();
        }
    }
}

/// And whoever never takes the rest of one has the write timeout for it, though nobody sends anything more.
#[test]
fn a_ping_that_is_never_taken_has_its_time() {
    let (server, senders) =
        handing_out(config(|config| config.timeouts.write = ms(1000)), Hooks::echo());
    let (client, sender) = open(&server, &senders);
    // More than there is room for, of which the last few KiB are kept. The system may take those late: then
    // once more.
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..120_000 {
            if sender.ping(&[7; 125]).is_err() {
                break;
            }
        }
        let Some(closed) = server.closed_within(&client, ms(4000)) else { continue };
        let error = closed.error.as_ref();
        assert!(matches!(error, Some(Error::DeadlineExceeded(Deadline::Write))), "{error:?}");
        // Else it is the first Ping of this round that has found the time of the last one over.
        assert!(start.elapsed() >= ms(1000), "{:?}", start.elapsed());
        return;
    }
    panic!("all was taken, each time");
}
