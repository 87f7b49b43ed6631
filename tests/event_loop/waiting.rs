//! Who waits for a turn, since others have so much to say, is not late: what was sent in time counts.

use std::sync::mpsc::{Receiver, channel};
use std::thread;

use barews::{CloseCode, Config, Sender};

use super::common::*;
use super::server::{Call, Hooks, LoopServer, config, over_tls, over_unix};

// All that one sends must have room, since nobody reads meanwhile: a Unix-domain socket has little.
const CLIENTS: usize = if over_unix() { 128 } else { 32 };
const MESSAGES: usize = if over_unix() { 8 } else { 32 };

/// A server whose handler takes a millisecond for a long message, and the senders of its connections.
fn slow(config: Config) -> (LoopServer, Receiver<Sender>) {
    let (tell, senders) = channel();
    let hooks = Hooks::new(move |call, _, out| {
        match call {
            Call::Opened => tell.send(out.sender())?,
            Call::Message(message) if message.len() < 100 => out.send(message)?,
            Call::Message(_) => thread::sleep(ms(1)),
            _ => {}
        }
        Ok(())
    });
    (LoopServer::start(config, hooks), senders)
}

/// Half a mebibyte of long messages, or what there is room for.
fn messages() -> Vec<u8> {
    frame(BINARY, vec![0; 16 << 10]).repeat(MESSAGES)
}

#[test]
fn a_request_that_waits_has_come_in_time() {
    // That of TLS takes its time.
    let within = if over_tls() { ms(1000) } else { ms(200) };
    let hooks = Hooks::echo().open(move |_, _| {
        thread::sleep(within / 10);
        Ok(())
    });
    let server = LoopServer::start(config(|config| config.timeouts.handshake = within), hooks);
    let mut clients: Vec<_> = (0..32).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.send(r0().bytes()));
    for client in &mut clients {
        client.expect_upgrade();
        client.finish();
    }
}

/// The beginning is read, and the rest lies there.
#[test]
fn a_message_that_waits_has_come_in_time() {
    let config = config(|config| config.timeouts.message = ms(100));
    let (server, _senders) = slow(config);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.open()).collect();
    clients.iter_mut().for_each(|client| client.send(messages()));
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
    // By the time the last handshake of TLS is over, the first client has said nothing for long.
    let interval = if over_tls() { ms(200) } else { ms(50) };
    let config = config(|config| {
        config.timeouts.ping_interval = interval;
        config.timeouts.idle_timeout = 2 * interval;
    });
    let (server, _senders) = slow(config);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.open()).collect();
    for client in &mut clients {
        client.send([messages(), frame(PONG, ""), frame(TEXT, "end")].concat());
    }
    for client in &mut clients {
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
        let (server, senders) = slow(config);
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.open()).collect();
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
        for client in &clients {
            let (calls, closed) = server.until_closed(client);
            assert!(closed.error.is_none() && closed.code == Some(code), "{closed:?}, {calls:?}");
            assert_eq!(calls.len(), 1 + MESSAGES, "{calls:?}");
        }
    }
}
