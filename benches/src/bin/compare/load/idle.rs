//! What a connection takes in memory that says nothing, from the start or after a while.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use barews::MessageType;
use barews::proto::OpCode;
use barews_benches::sample::{self, KEY, Payload};

use crate::load::client;
use crate::load::deflate::Deflated;
use crate::load::stream::Stream;
use crate::load::traffic::Traffic;
use crate::load::wait::Waiter;
use crate::outcome::Outcome;
use crate::results::Figures;
use crate::server::Server;
use crate::work::Texts;

/// How long memory must have stayed the same. Ours is given back when it was not used for 2 s.
const QUIET: Duration = Duration::from_secs(4);

pub(crate) fn measure(server: &Server, count: usize) -> Outcome<Figures> {
    let (before, start) = (server.resident_kib()?, Instant::now());
    let mut connections = client::open_all(server, count)?;
    let rate = count as f64 / start.elapsed().as_secs_f64();
    let figures = figures(server, before, count, rate)?;
    serve(server, &mut connections)?;
    Ok(figures)
}

/// Each says something and hears it again: whoever is not served takes no memory either.
fn serve(server: &Server, connections: &mut [Stream]) -> Outcome<()> {
    let payload = Payload::Binary.bytes(20);
    let message = sample::client_frame(OpCode::Binary, &payload, KEY);
    let reply = match server.contestant.is_raw() {
        true => message.clone(),
        false => sample::server_frame(MessageType::Binary, &payload),
    };
    for some in connections.chunks_mut(client::AT_ONCE) {
        for stream in &mut *some {
            stream.tcp().set_read_timeout(Some(client::PATIENCE))?;
            stream.write_all(&message)?;
        }
        some.iter_mut().try_for_each(|stream| hear(stream, &reply))?;
    }
    Ok(())
}

/// Reads a reply, and Pings that came before it.
fn hear(stream: &mut impl Read, reply: &[u8]) -> Outcome<()> {
    let (mut heard, mut buf) = (Vec::new(), [0; 256]);
    loop {
        // §5.2: 0x89 begins a Ping, and a server's has its payload after one byte of length.
        while let [0x89, len, ..] = *heard
            && heard.len() >= 2 + usize::from(len)
        {
            heard.drain(..2 + usize::from(len));
        }
        if heard == reply {
            return Ok(());
        }
        let n = stream.read(&mut buf)?;
        if n == 0 {
            return Err("the server closed a connection that was idle".into());
        }
        heard.extend_from_slice(&buf[..n]);
        if heard.len() > 2 * buf.len() {
            return Err("what came back is not what was sent".into());
        }
    }
}

/// The same where permessage-deflate was offered, after so many texts on each connection.
pub(crate) fn measure_deflate(
    server: &Server,
    texts: Texts,
    messages: u64,
    waiter: Waiter,
) -> Outcome<Figures> {
    let (before, start) = (server.resident_kib()?, Instant::now());
    let (streams, agreement) = client::open_offering(server, texts.connections)?;
    let rate = texts.connections as f64 / start.elapsed().as_secs_f64();
    let script = Deflated::new(texts.size, agreement)?;
    let mut traffic = Traffic::new(streams, script, 1, waiter)?;
    traffic.exchange(messages)?;
    let figures = figures(server, before, texts.connections, rate);
    drop(traffic);
    figures
}

fn figures(server: &Server, before: u64, count: usize, rate: f64) -> Outcome<Figures> {
    // The server may still be busy with the last of them, and takes back what it can.
    let deadline = Instant::now() + 3 * QUIET;
    let (mut resident, mut since) = (server.resident_kib()?, Instant::now());
    while since.elapsed() < QUIET && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(250));
        let now = server.resident_kib()?;
        if now != resident {
            (resident, since) = (now, Instant::now());
        }
    }
    let resident = server.resident_kib()?.saturating_sub(before) as f64;
    Ok(Figures { rate, idle_kib: Some(resident / count as f64), ..Figures::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_heard_behind_pings_and_no_other() {
        let heard = |mut bytes: &[u8]| hear(&mut bytes, b"\x82\x02hi").is_ok();
        assert!(heard(b"\x82\x02hi"));
        assert!(heard(b"\x89\x00\x89\x03abc\x82\x02hi"));
        assert!(!heard(b"\x82\x02ho"));
        assert!(!heard(b"\x89\x00\x89\x03ab"));
        assert!(!heard(b"\x82\x02hi\x82\x02hi"));
    }
}
