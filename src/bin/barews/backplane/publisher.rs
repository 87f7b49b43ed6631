//! The thread that publishes: many messages in one write, then their answers.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use redis::{Connection, Pipeline, RedisWrite, ToRedisArgs, Value};

use super::channel::ChannelShared;
use super::envelope::{Content, Header};
use super::outbox::{Item, Work};
use super::process::{ANSWER_TIMEOUT, CHANNEL_PREFIX, process_channel};
use super::stats::Stats;
use super::target::describe;

/// How often a process sends something to itself, so that it knows that both connections work.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Publishes what is in the outbox, on one connection after the other.
pub fn run(context: &ChannelShared, start: Instant) {
    while let Some((mut conn, epoch)) = context.outbox.wait_for_connection() {
        let publish = AssertUnwindSafe(|| publish(context, &mut conn, epoch, start));
        let panicked = |_| Err("publishing: a panic".to_owned());
        if let Err(why) = panic::catch_unwind(publish).unwrap_or_else(panicked) {
            context.outbox.fail(epoch, why);
        }
    }
}

/// A message as an argument: its header and its payload, which is copied but once.
struct Publication<'a>(Header, &'a [u8]);

impl ToRedisArgs for Publication<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut arg = out.writer_for_next_arg();
        let written: io::Result<()> =
            arg.write_all(&self.0.encode()).and_then(|()| arg.write_all(self.1));
        written.expect("it is memory");
    }
}

fn publish(
    context: &ChannelShared,
    conn: &mut Connection,
    epoch: u64,
    start: Instant,
) -> Result<(), String> {
    let failed = |error: redis::RedisError| format!("publishing: {}", describe(&error));
    conn.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(failed)?;
    conn.set_write_timeout(Some(ANSWER_TIMEOUT)).map_err(failed)?;
    let process = process_channel(context.origin);
    let mut beat_at = start;
    while let Work::Send(batch, is_beat_due) = context.outbox.next_batch(epoch, beat_at) {
        let mut pipeline = Pipeline::with_capacity(batch.len() + 1);
        if is_beat_due {
            beat_at = Instant::now() + BEAT_INTERVAL;
            let number = u64::try_from(start.elapsed().as_micros()).unwrap_or(0);
            let beat = Header { content: Content::Beat, origin: context.origin, run: 0, number };
            pipeline.cmd("PUBLISH").arg(&process).arg(Publication(beat, &[]));
        }
        for item in &batch {
            let payload = item.message.as_ref().map_or(&[][..], |message| message.as_bytes());
            let publication = Publication(item.header, payload);
            pipeline.cmd("PUBLISH").arg(channel_name(item)).arg(publication);
        }
        conn.send_packed_command(&pipeline.get_packed_pipeline()).map_err(failed)?;
        // One by one: the client's own function would await each of them in turn after a timeout.
        for _ in 0..batch.len() + usize::from(is_beat_due) {
            if let Value::ServerError(error) = conn.recv_response().map_err(failed)? {
                return Err(format!("publishing: {error}"));
            }
        }
        let messages = batch.iter().filter(|item| item.message.is_some()).count();
        Stats::add(&context.stats.published, messages as u64);
        context.outbox.published(epoch, batch.len());
    }
    Ok(())
}

fn channel_name(item: &Item) -> String {
    format!("{CHANNEL_PREFIX}{}", item.channel)
}
