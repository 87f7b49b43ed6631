//! One message to thousands of receivers, some of which never read: `fan_out --help`.
//!
//! This process is the server. The receivers are another one, which it starts: itself, with `receive`.
//! Each message has the time in it at which it was made, so the receivers tell how old it was when they
//! read it; what it costs is this process's CPU time, of all its threads, while messages go out.

mod receivers;
mod options;

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

use barews::{Config, Connection, OwnedMessage, SendQueue, Server, ShutdownHandle, broadcast_all};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::time::{ClockId, clock_gettime};

use options::Options;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A step that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What each queue may hold, in bytes.
const MAX_QUEUED: usize = 1 << 20;

fn main() -> ExitCode {
    let done = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => raise_open_files().and_then(|()| match options.receive_from {
            Some(addr) => receivers::run(addr, &options),
            None => serve(&options),
        }),
        Ok(None) => {
            println!("{}", options::HELP);
            Ok(())
        }
        Err(wrong) => Err(wrong.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("fan_out: {wrong}");
            ExitCode::FAILURE
        }
    }
}

/// Thousands of connections need as many descriptors, here and in the receivers, who inherit this.
fn raise_open_files() -> Outcome<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// Nanoseconds on a clock that all processes share.
fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

fn serve(options: &Options) -> Outcome<()> {
    let (server, addr, joined) = start(options)?;
    let mut child = Receivers::start(addr, options)?;
    let (mut readers, mut stuck) = (Vec::new(), Vec::new());
    while readers.len() < options.receivers || stuck.len() < options.stuck {
        let (is_stuck, queue) = joined.recv_timeout(PATIENCE)?;
        if is_stuck { stuck.push(queue) } else { readers.push(queue) }
    }
    let filler = [OwnedMessage::from(vec![0; 16 << 10])];
    while broadcast_all(&stuck, &filler).queued > 0
        || stuck.first().is_some_and(|queue| queue.wait_for_room(MAX_QUEUED / 2, PATIENCE / 100))
    {
    }
    let before = resident_kib()?;
    let (mut cost, mut messages) = (Duration::ZERO, 0);
    let start = Instant::now();
    for _ in 0..options.rounds {
        let used = cpu_time()?;
        let step = if options.apart { 1 } else { options.batch };
        for _ in 0..options.batch / step {
            let batch = (0..step).map(|_| stamped(options.size).into()).collect::<Vec<_>>();
            let told = broadcast_all(readers.iter().chain(&stuck), &batch);
            if told.queued < readers.len() {
                return Err(format!("{} are full, {} closed", told.full.len(), told.closed).into());
            }
            messages += told.queued * step;
        }
        for queue in &readers {
            queue.flush(PATIENCE)?;
        }
        cost += cpu_time()? - used;
        thread::sleep(options.pause);
    }
    let took = start.elapsed();
    let nanos = cost.as_nanos() as f64 / messages as f64;
    println!(
        "{} receivers and {} that never read, {} rounds of {} messages of {} B: \
         {nanos:.0} ns of CPU a message and receiver, {:.1} s",
        readers.len(),
        stuck.len(),
        options.rounds,
        options.batch,
        options.size,
        took.as_secs_f64(),
    );
    let queued: usize = stuck.iter().map(SendQueue::queued_bytes).sum();
    println!(
        "resident: {} MiB before, {} MiB at most; those that never read have {} KiB each queued, of {}",
        before / 1024,
        peak_kib()? / 1024,
        queued / 1024 / stuck.len().max(1),
        MAX_QUEUED / 1024,
    );
    println!("{}", child.result()?);
    drop((readers, stuck));
    server.shutdown(Duration::from_millis(100));
    Ok(())
}

/// The server, its address, and the queues of those who connect.
type Started = (ShutdownHandle, SocketAddr, Receiver<(bool, SendQueue)>);

fn start(options: &Options) -> Outcome<Started> {
    let mut config = Config::default();
    config.limits.max_connections_per_ip = usize::MAX;
    config.limits.max_connections = options.receivers + options.stuck;
    config.stack_size = Some(64 << 10);
    // Those that never read are there to the end.
    config.timeouts.write = Duration::from_secs(600);
    config.timeouts.close = Duration::from_millis(100);
    let server = Server::bind("127.0.0.1:0")?.config(config);
    let addr = server.local_addr().ok_or("no address")?;
    let (handle, (join, joined)) = (server.shutdown_handle(), channel());
    thread::spawn(move || {
        server.run(move |conn: Connection| {
            let is_stuck = conn.request().path() == "/stuck";
            let (mut receiver, sender) = conn.split();
            join.send((is_stuck, sender.queued(MAX_QUEUED)?))?;
            drop(sender);
            let mut buf = Vec::new();
            while receiver.recv(&mut buf)?.is_some() {}
            Ok(())
        })
    });
    Ok((handle, addr, joined))
}

/// A payload that begins with the time.
fn stamped(size: usize) -> Vec<u8> {
    let mut payload = now().to_be_bytes().to_vec();
    payload.resize(size, b'.');
    payload
}

/// The process of the receivers, which ends with this one.
struct Receivers(Child);

impl Receivers {
    fn start(addr: SocketAddr, options: &Options) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(options.for_receivers(addr)).stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(Self(command.spawn()?))
    }

    /// What they say once all messages have come.
    fn result(&mut self) -> Outcome<String> {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().ok_or("no output")?).read_line(&mut line)?;
        // Their turn to leave.
        self.0.stdin.take().ok_or("no input")?.write_all(b"\n")?;
        match self.0.wait()?.success() {
            true => Ok(line.trim_end().to_owned()),
            false => Err("the receivers have failed".into()),
        }
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Of all threads of this process.
fn cpu_time() -> Outcome<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let time = [usage.user_time(), usage.system_time()]
        .map(|time| Duration::from_micros((time.tv_sec() * 1_000_000 + time.tv_usec()) as u64));
    Ok(time[0] + time[1])
}

fn resident_kib() -> Outcome<u64> {
    status_kib("VmRSS:")
}

fn peak_kib() -> Outcome<u64> {
    status_kib("VmHWM:")
}

fn status_kib(field: &str) -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field")?;
    Ok(line.split_ascii_whitespace().next().unwrap_or_default().parse()?)
}
