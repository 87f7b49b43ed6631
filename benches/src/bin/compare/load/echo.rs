//! How fast messages come back on connections that stay, and what that costs the server.

use std::time::{Duration, Instant};

use crate::args::Options;
use crate::load::client;
use crate::load::deflate::Deflated;
use crate::load::histogram::Histogram;
use crate::load::script::{Script, Uniform};
use crate::load::traffic::{Phase, Traffic};
use crate::load::wait::Waiter;
use crate::outcome::Outcome;
use crate::results::Figures;
use crate::server::Server;
use crate::work::{Load, Texts};

pub(crate) fn measure(
    server: &Server,
    load: Load,
    waiter: Waiter,
    options: &Options,
) -> Outcome<Figures> {
    let script = Uniform::new(load.payload, load.size, load.depth, server.contestant.is_raw());
    let streams = client::open_all(server, load.connections)?;
    let traffic = Traffic::new(streams, script, load.depth, waiter)?;
    figures(server, traffic, load.size, options)
}

/// The same with permessage-deflate, for those who can.
pub(crate) fn measure_deflate(
    server: &Server,
    texts: Texts,
    waiter: Waiter,
    options: &Options,
) -> Outcome<Figures> {
    let (streams, agreement) = client::open_offering(server, texts.connections)?;
    let script = Deflated::new(texts.size, agreement)?;
    figures(server, Traffic::new(streams, script, 1, waiter)?, texts.size, options)
}

fn figures<S: Script>(
    server: &Server,
    mut traffic: Traffic<S>,
    size: usize,
    options: &Options,
) -> Outcome<Figures> {
    traffic.start()?;
    traffic.warm_up(Duration::from_secs_f64(options.warm_up()))?;

    (traffic.messages, traffic.received) = (0, 0);
    traffic.latencies = Histogram::new();
    let switches = server.switches()?;
    let (idle, cpu, start) = (traffic.waiter.idle(), server.cpu_time()?, Instant::now());
    traffic.run(Phase::Count, Duration::from_secs_f64(options.seconds))?;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), server.cpu_time()? - cpu);
    let idle = traffic.waiter.idle() - idle;
    let switches = server.switches()? - switches;

    let (messages, received) = (traffic.messages as f64, traffic.received as f64);
    // With their latencies, however late: who lets some wait for very long shall not hide it.
    traffic.finish()?;
    Ok(Figures {
        rate: messages / seconds,
        mb_s: messages * size as f64 / seconds / 1e6,
        reply_bytes: Some(received / messages),
        p50_us: traffic.latencies.quantile(0.5),
        p99_us: traffic.latencies.quantile(0.99),
        cpu_us: cpu.as_secs_f64() * 1e6 / messages,
        busy: cpu.as_secs_f64() / seconds,
        load_busy: 1.0 - idle.as_secs_f64() / seconds,
        switches: Some(switches as f64 / messages),
        ..Figures::default()
    })
}
