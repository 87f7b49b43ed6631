//! Who waits for a turn, since others have so much to say, is not late: what was sent in time counts.
//! So the loop is held up until all of that is there: how long it takes to send it all says nothing.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier};
use std::thread;

use barews::{CloseCode, Config, Sender};

use super::common::*;
use super::server::{Call, LoopServer, config, gated, gated_or, over_tls, over_unix, while_held};

// All that one sends must have room, since nobody reads meanwhile: a Unix-domain socket has little.
const CLIENTS: usize = if over_unix() { 128 } else { 32 };
const MESSAGES: usize = if over_unix() { 8 } else { 32 };

/// A server whose handler takes a millisecond for a long message, what holds it up, and the senders of its
/// connections.
fn slow(config: Config) -> (LoopServer, Arc<Barrier>, Receiver<Sender>) {
    let (tell, senders) = channel();
    let gate = Arc::new(Barrier::new(2));
    let hooks = gated_or(&gate, move |call, _, out| {
        match call {
            Call::Opened => tell.send(out.sender())?,
            Call::Message(message) if message.len() < 100 => out.send(message)?,
            Call::Message(_) => thread::sleep(ms(1)),
            _ => {}
        }
        Ok(())
    });
    (LoopServer::start(config, hooks), gate, senders)
}

/// Half a mebibyte of long messages, or what there is room for.
fn messages() -> Vec<u8> {
    frame(BINARY, vec![0; 16 << 10]).repeat(MESSAGES)
}

#[test]
fn a_request_that_waits_has_come_in_time() {
    const CLIENTS: u32 = 16;
    // The handshakes of TLS cannot wait: they take their time.
    let within = if over_tls() { ms(1000) } else { ms(200) };
    let gate = Arc::new(Barrier::new(2));
    let hooks = gated(&gate).open(move |_, _| {
        thread::sleep(2 * within / CLIENTS);
        Ok(())
    });
    let server = LoopServer::start(config(|config| config.timeouts.handshake = within), hooks);
    let mut first = server.open();
    let connect = || (0..CLIENTS).map(|_| server.connect()).collect();
    let connected: Option<Vec<_>> = over_tls().then(connect);
    let mut clients = while_held(&mut first, &gate, || {
        let mut clients = connected.unwrap_or_else(connect);
        clients.iter_mut().for_each(|client| client.send(r0().bytes()));
        clients
    });
    for client in &mut clients {
        client.expect_upgrade();
        client.finish();
    }
}

/// The beginning is read, and the rest lies there.
#[test]
fn a_message_that_waits_has_come_in_time() {
    let config = config(|config| config.timeouts.message = ms(100));
    let (server, gate, _senders) = slow(config);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.open()).collect();
    while_held(&mut server.open(), &gate, || {
        clients.iter_mut().for_each(|client| client.send(messages()));
    });
    for client in &mut clients {
        client.send(frame(TEXT, "end"));
        client.expect(&Frame::text("end"));
        client.finish();
    }
}

/// A Pong lies behind messages.
#[test]
fn whose_pong_waits_is_there() {
    if over_unix() {
        return println!("SKIPPED: there is no room for so much in front of a Pong");
    }
    let config = config(|config| {
        config.timeouts.ping_interval = ms(50);
        config.timeouts.idle_timeout = ms(100);
    });
    let (server, gate, _senders) = slow(config);
    // Nobody is silent before: the requests come with all the rest.
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    let mut first = server.connect();
    first.send([r0().bytes(), frame(TEXT, "hold")].concat());
    gate.wait();
    for client in &mut clients {
        client.send([r0().bytes(), messages(), frame(PONG, ""), frame(TEXT, "end")].concat());
    }
    gate.wait();
    for client in &mut clients {
        client.expect_upgrade();
        loop {
            match client.read_frame() {
                Some(frame) if frame.opcode == 9 => {}
                frame => break assert_eq!(frame, Some(Frame::text("end"))),
            }
        }
    }
}

/// Another thread has closed, or the server ends, and the answer lies there, behind messages that are not
/// lost.
#[test]
fn an_answer_to_our_close_that_waits_has_come_in_time() {
    for (is_shutdown, code) in [(false, 4000), (true, 1001)] {
        let config = config(|config| config.timeouts.close = ms(500));
        let (server, gate, senders) = slow(config);
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.open()).collect();
        while_held(&mut server.open(), &gate, || {
            for client in &mut clients {
                client.send(messages());
            }
            if is_shutdown {
                server.running.shutdown_handle().start();
            }
            for client in &mut clients {
                let sender = senders.recv_timeout(PATIENCE).expect("a sender");
                // Does nothing where the server has.
                sender.close(CloseCode(4000), "").unwrap();
                assert_eq!(client.read_frame().expect("a Close").close_parts().0, code);
                client.send(close(code, ""));
            }
        });
        for client in &clients {
            let (calls, closed) = server.until_closed(client);
            assert!(closed.error.is_none() && closed.code == Some(code), "{closed:?}, {calls:?}");
            assert_eq!(calls.len(), 1 + MESSAGES, "{calls:?}");
        }
    }
}
