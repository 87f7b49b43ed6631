//! The budget for long messages, where it is tight: what is within it goes through, and all of it comes back.

use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use barews::BoxError;

use super::common::*;
use super::server::{Call, Hooks, LoopServer, config};

/// How much a message may have beside others: none.
const BUDGET: usize = 256 << 10;

/// A server whose handler tells what has come, and sends back how long it was.
fn server(budget: usize) -> (LoopServer, Receiver<Vec<u8>>) {
    let (tell, messages) = channel();
    let hooks = Hooks::new(move |call, _, out| -> Result<(), BoxError> {
        if let Call::Message(message) = call {
            tell.send(message.as_bytes().to_vec())?;
            out.send(&*message.len().to_string())?;
        }
        Ok(())
    });
    let config = config(|config| config.limits.max_buffered_bytes = budget as u64);
    (LoopServer::start(config, hooks), messages)
}

/// A message in frames of these lengths.
fn fragments(payload: &[u8], lens: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = payload;
    let last = lens.len() - 1;
    let mut frames = Vec::new();
    for (at, len) in lens.iter().enumerate() {
        let (part, behind) = rest.split_at(*len);
        rest = behind;
        let opcode = if at == 0 { 0x02 } else { 0x00 };
        frames.push(frame(opcode | if at == last { 0x80 } else { 0 }, part));
    }
    assert!(rest.is_empty());
    frames
}

/// One that is as long as all may be together, whole and in parts, however it comes.
#[test]
fn a_message_of_all_there_is() {
    const KIB: usize = 1 << 10;
    let (server, messages) = server(BUDGET);
    let payload: Vec<u8> = noise(7).take(BUDGET).collect();
    let lens: &[&[usize]] = &[
        &[256 * KIB],
        &[0, 256 * KIB],
        &[1, 256 * KIB - 1],
        &[64 * KIB, 192 * KIB],
        &[64 * KIB + 1, 192 * KIB - 1],
        &[100 * KIB, 0, 156 * KIB],
        &[200 * KIB, 10 * KIB, 46 * KIB],
        &[16 * KIB; 16],
    ];
    let mut failed = Vec::new();
    for lens in lens {
        for pieces in [usize::MAX, 1000, 70_000] {
            let mut client = server.open();
            let sent = fragments(&payload, lens).concat();
            for piece in sent.chunks(pieces.min(sent.len())) {
                let _ = client.try_send(piece);
            }
            let answer = client.try_read_frame();
            if answer != Some(Frame::text(BUDGET.to_string())) {
                failed.push((lens, pieces, answer));
                continue;
            }
            assert!(messages.recv_timeout(PATIENCE).unwrap() == payload);
            client.finish();
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// Sends messages of this length until one has an answer: those who have left are yet to be noticed.
fn until_there_is_room(server: &LoopServer, messages: &Receiver<Vec<u8>>, payload: &[u8]) {
    let start = Instant::now();
    loop {
        let mut client = server.open();
        let _ = client.try_send(frame(BINARY, payload));
        match client.try_read_frame() {
            Some(frame) if frame.opcode == 1 => {
                // What was begun may have become a message, too.
                while messages.recv_timeout(PATIENCE).unwrap() != payload {}
                return client.finish();
            }
            Some(frame) => assert_eq!(frame.close_parts().0, 1013),
            None => {}
        }
        assert!(start.elapsed() < PATIENCE, "the budget is not what it was");
    }
}

/// Wherever a connection is when it leaves, and however: what it had is there for others.
#[test]
fn all_that_was_held_comes_back() {
    let (server, messages) = server(BUDGET);
    let all: Vec<u8> = noise(8).take(BUDGET).collect();
    let fragment = frame(0x02, &all[..100_000]);
    let begun: &[Vec<u8>] = &[
        head(BINARY, 1 << 20),
        frame(BINARY, &all)[..200_000].to_vec(),
        fragment.clone(),
        [&fragment[..], &head(0x80, 1 << 20)].concat(),
        [&fragment[..], &frame(PING, "?")[..3]].concat(),
        [frame(0x02, &all[..10]), frame(0x80, &all)[..100_000].to_vec()].concat(),
    ];
    for begun in begun {
        for end in 0..4 {
            let mut client = server.open();
            client.send(begun);
            let mut other = server.open();
            other.send(frame(TEXT, "meanwhile"));
            other.expect(&Frame::text("9"));
            assert_eq!(messages.recv_timeout(PATIENCE).unwrap(), b"meanwhile");
            match end {
                0 => client.reset(),
                1 => client.send_eof(),
                // More than there is, or what is wrong, or neither.
                2 => {
                    let _ = client.try_send(&all);
                }
                _ => drop(client),
            }
            until_there_is_room(&server, &messages, &all);
        }
    }
}

/// Memory is given back in a silence, and had again behind it: for a message of which there is a header, or a
/// part.
#[test]
fn a_silence_in_the_middle() {
    let (server, messages) = server(4 * BUDGET);
    let payload: Vec<u8> = noise(9).take(200_000).collect();
    let sent = frame(BINARY, &payload);
    let mut clients: Vec<_> = [0, 1, 14, 20_000, 150_000].map(|at| (server.open(), at)).into();
    for (client, begun) in &mut clients {
        // There is memory from before.
        client.send(&sent);
        client.expect(&Frame::text("200000"));
        client.send(&sent[..*begun]);
    }
    // Longer than memory is kept for.
    std::thread::sleep(ms(2500));
    for (client, begun) in &mut clients {
        client.send(&sent[*begun..]);
        client.expect(&Frame::text("200000"));
        client.finish();
    }
    assert!(messages.try_iter().all(|message| message == payload));
    let all: Vec<u8> = noise(10).take(4 * BUDGET).collect();
    until_there_is_room(&server, &messages, &all);
}
