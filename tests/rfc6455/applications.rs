//! What an application may do where nobody looks: it panics, and holds a shutdown up or starts it over and over.

use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use barews::{
    Accept, BoxError, Config, Connection, ConnectionLimits, MessageType, Reject, Sender, Server,
};

use super::common::*;

/// Panics where it is dropped.
struct Panics;

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// Says that it is being dropped, and waits there.
struct Waits(std::sync::mpsc::Sender<()>, Mutex<Receiver<()>>);

impl Drop for Waits {
    fn drop(&mut self) {
        let _ = self.0.send(());
        let _ = self.1.lock().unwrap().recv_timeout(PATIENCE);
    }
}

fn waits() -> (Waits, Receiver<()>, std::sync::mpsc::Sender<()>) {
    let (tell, told) = channel();
    let (go, gone) = channel();
    (Waits(tell, Mutex::new(gone)), told, go)
}

/// The shared threads that write: a panic that carries something which panics when dropped.
#[test]
fn a_flusher_outlives_what_a_panic_carries() {
    let config = with_timeouts(|timeouts| timeouts.close = ms(50));
    // As long as there is any queue, the threads are there.
    let (kept, _kept_client) = pair(&config);
    let (_kept_receiver, kept) = kept.split();
    let _kept = kept.queued(1 << 20).unwrap();
    let (conn, _client) = pair(&config);
    let (_receiver, sender) = conn.split();
    let queue = sender.queued(1 << 20).unwrap();
    queue.on_sent(|_| panic_any(Panics));
    queue.try_send(&"first".into()).unwrap();
    let _ = queue.flush(ms(500));
    // Some of them are of the same thread.
    let others: Vec<_> = (0..8)
        .map(|_| {
            let (conn, client) = pair(&config);
            let (receiver, sender) = conn.split();
            let queue = sender.queued(1 << 20).unwrap();
            queue.try_send(&"second".into()).unwrap();
            (queue, receiver, sender, client)
        })
        .collect();
    let flushed: Vec<_> = others.iter().map(|one| one.0.flush(ms(1000))).collect();
    assert!(flushed.iter().all(|flushed| matches!(flushed, Ok(true))), "{flushed:?}");
}

/// A connection ends as it should, whatever was given to `on_sent`, and whoever keeps a sender.
#[test]
fn an_end_with_something_that_panics_in_a_queue() {
    let kept: Arc<Mutex<Vec<Sender>>> = Arc::default();
    let server = {
        let kept = Arc::clone(&kept);
        TestServer::with_handler(
            |server| server,
            move |conn: Connection| {
                let (mut receiver, sender) = conn.split();
                let panics = Panics;
                let queue = sender.queued(1 << 20)?;
                queue.on_sent(move |_| {
                    let _ = &panics;
                });
                kept.lock().unwrap().push(sender);
                // The first message is the end.
                receiver.recv(&mut Vec::new())?;
                // The queue is kept by nobody but for what waits; so that it is there at the end:
                std::mem::forget(queue);
                Ok(())
            },
        )
    };
    let mut client = server.open();
    client.send(frame(TEXT, "end"));
    assert!(client.heard_within(ms(4000)), "nothing was said");
    client.expect_close(1000);
}

/// Who shuts a server down may be the last who has a connection.
#[test]
fn a_shutdown_drops_what_panics() {
    let (waits, is_dropped, go) = waits();
    let waits = Mutex::new(Some(waits));
    let (ended, has_ended) = channel();
    let ended = Mutex::new(ended);
    let mut config = Config::default();
    config.timeouts.close = ms(100);
    let server = TestServer::with_handler(
        |server| {
            server.config(config).on_upgrade(|request| {
                Ok::<_, Reject>(match request.path() {
                    "/panics" => Accept::new().attach(Panics),
                    _ => Accept::new(),
                })
            })
        },
        move |mut conn: Connection| {
            if conn.request().path() != "/panics" {
                while conn.recv(&mut Vec::new())?.is_some() {}
                return Ok(());
            }
            struct Tells(std::sync::mpsc::Sender<()>);
            impl Drop for Tells {
                fn drop(&mut self) {
                    let _ = self.0.send(());
                }
            }
            let _tells = Tells(ended.lock().unwrap().clone());
            let queue = conn.sender().queued(1 << 20)?;
            let waits = waits.lock().unwrap().take();
            queue.on_sent(move |_| {
                let _ = &waits;
            });
            conn.recv(&mut Vec::new())?;
            drop(queue);
            Ok(())
        },
    );
    let mut first = server.connect();
    first.send(r0().target("/panics").bytes());
    first.expect_upgrade();
    let mut second = server.open();
    second.send(frame(TEXT, "here"));
    thread::sleep(ms(50));
    let handle = server.handle.clone();
    let shutdown = thread::spawn(move || catch_unwind(AssertUnwindSafe(|| handle.start())).is_ok());
    is_dropped.recv_timeout(PATIENCE).expect("the first is told");
    // Its handler ends meanwhile.
    first.send(frame(TEXT, "end"));
    has_ended.recv_timeout(PATIENCE).unwrap();
    thread::sleep(ms(1000));
    go.send(()).unwrap();
    let is_fine = shutdown.join().unwrap();
    let told = second.heard_within(ms(2000));
    assert!(is_fine && told, "start() returned: {is_fine}; the second was told: {told}");
    second.expect_close(1001);
}

/// §7.4.1: whoever has the 101 has a Close, and time to answer it, however the shutdown came.
#[test]
fn a_handshake_that_is_done_while_others_are_told() {
    let (waits, is_dropped, go) = waits();
    let waits = Mutex::new(Some(waits));
    let (asked, is_asked) = channel();
    let (go_on, goes_on) = channel::<()>();
    let both = Mutex::new((asked, goes_on));
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let server = TestServer::with_handler(
        |server| {
            server.on_upgrade(move |request| {
                if request.path() == "/slow" {
                    let both = both.lock().unwrap();
                    both.0.send(()).unwrap();
                    let _ = both.1.recv_timeout(PATIENCE);
                }
                Ok::<_, Reject>(Accept::new())
            })
        },
        move |mut conn: Connection| {
            let is_slow = conn.request().path() == "/slow";
            let queue = conn.sender().queued(1 << 20)?;
            if !is_slow {
                let waits = waits.lock().unwrap().take();
                queue.on_sent(move |_| {
                    let _ = &waits;
                });
                conn.send("ready")?;
            }
            let received = conn.recv(&mut Vec::new()).map(|message| message.is_none());
            if is_slow {
                let _ = tell.lock().unwrap().send(format!("{received:?}"));
            }
            Ok(())
        },
    );
    let mut first = server.open();
    first.expect(&Frame::text("ready"));
    let mut slow = server.connect();
    slow.send(r0().target("/slow").bytes());
    is_asked.recv_timeout(PATIENCE).unwrap();
    let handle = server.handle.clone();
    let shutdown = thread::spawn(move || handle.start());
    // It has seen that this one is not open yet.
    is_dropped.recv_timeout(PATIENCE).expect("the first is told");
    go_on.send(()).unwrap();
    let response = slow.try_read_bytes(12);
    let is_open = response.as_deref() == Some(b"HTTP/1.1 101");
    if is_open {
        // Mended, it may as well be cut; but nobody who has the 101 is.
        thread::sleep(ms(100));
        go.send(()).unwrap();
        shutdown.join().unwrap();
        thread::sleep(ms(100));
        slow.send(close(1001, ""));
        let said = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(said, "Ok(true)", "the peer was there, and answered");
    } else {
        go.send(()).unwrap();
        shutdown.join().unwrap();
    }
}

/// Why a request came to nothing is told, whatever was attached to it.
#[test]
fn limits_that_are_wrong_beside_something_that_panics() {
    let server = TestServer::with_handler(
        |server| {
            server.on_upgrade(|_| {
                let limits =
                    ConnectionLimits { max_fragments: Some(0), ..ConnectionLimits::default() };
                Ok::<_, Reject>(Accept::new().attach(limits).attach(Panics))
            })
        },
        |_| Ok(()),
    );
    let mut client = server.connect();
    client.send(r0().bytes());
    client.expect_refusal(500);
    assert!(matches!(server.unopened(client.addr), Unopened::InvalidLimits(_)));
}

/// An error of the application's whose source panics.
#[derive(Debug)]
struct NoSource;

impl fmt::Display for NoSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it failed")
    }
}

impl StdError for NoSource {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        panic!("source")
    }
}

#[test]
fn an_error_that_panics_is_told_nonetheless() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let server = Server::bind("127.0.0.1:0").unwrap().on_error(move |_, error| {
        let _ = tell.lock().unwrap().send(error.to_string());
    });
    let server = server.spawn(|_| Err(BoxError::from(NoSource))).unwrap();
    let mut client = RawClient::connect(server.addr());
    client.send(r0().bytes());
    client.expect_upgrade();
    client.expect_close(1011);
    drop(client);
    assert_eq!(told.recv_timeout(ms(3000)).as_deref(), Ok("it failed"));
}

/// A shutdown that is started again and again is one: who does not answer its Close is cut in time.
#[test]
fn a_shutdown_that_is_started_over_and_over() {
    let mut config = Config::default();
    config.timeouts.close = ms(300);
    let server = TestServer::with_handler(
        |server| server.config(config),
        |mut conn: Connection| {
            conn.send("ready")?;
            while conn.recv(&mut Vec::new())?.is_some() {}
            Ok(())
        },
    );
    let mut client = server.open();
    client.expect(&Frame::text("ready"));
    thread::sleep(ms(100));
    let start = std::time::Instant::now();
    while server.handle.connections() > 0 && start.elapsed() < ms(5000) {
        server.handle.start();
        thread::sleep(ms(50));
    }
    assert_eq!(server.handle.connections(), 0, "after {:?}", start.elapsed());
}

/// A handler's panic costs its own connection, and not the process.
#[test]
fn a_panic_while_something_that_panics_is_in_a_queue() {
    let server = TestServer::with_handler(
        |server| server,
        |mut conn: Connection| {
            let panics = Panics;
            let queue = conn.sender().queued(1 << 20)?;
            queue.on_sent(move |_| {
                let _ = &panics;
            });
            let mut message = conn.writer(MessageType::Text);
            std::io::Write::write_all(&mut message, b"begun")?;
            panic!("the handler");
        },
    );
    let mut client = server.open();
    client.expect(&Frame::new(0x01, "begun"));
    client.expect_close(1011);
}
