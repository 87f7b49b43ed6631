//! Connections that live for one message: connect, handshake, echo, closing handshake, the end.
//! Every reply is checked. Without protocol it is connect, echo, close.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use barews::MessageType;
use barews::proto::OpCode;
use barews_benches::sample::{self, KEY, Payload};
use nix::sys::epoll::EpollEvent;

use crate::args::Options;
use crate::load::client;
use crate::load::histogram::Histogram;
use crate::load::stream::Stream;
use crate::load::wait::Waiter;
use crate::outcome::Outcome;
use crate::results::Figures;
use crate::server::Server;

pub(crate) fn measure(
    server: &Server,
    clients: usize,
    waiter: Waiter,
    options: &Options,
) -> Outcome<Figures> {
    let mut churn = Churn::new(server, clients, waiter)?;
    churn.run(Duration::from_secs_f64(options.warm_up()))?;

    churn.cycles = 0;
    churn.latencies = Histogram::new();
    let (idle, cpu, start) = (churn.waiter.idle(), server.cpu_time()?, Instant::now());
    churn.run(Duration::from_secs_f64(options.seconds))?;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), server.cpu_time()? - cpu);
    let idle = churn.waiter.idle() - idle;

    let cycles = churn.cycles as f64;
    Ok(Figures {
        rate: cycles / seconds,
        mb_s: 0.0,
        p50_us: churn.latencies.quantile(0.5),
        p99_us: churn.latencies.quantile(0.99),
        cpu_us: cpu.as_secs_f64() * 1e6 / cycles,
        busy: cpu.as_secs_f64() / seconds,
        load_busy: 1.0 - idle.as_secs_f64() / seconds,
        ..Figures::default()
    })
}

struct Churn<'a> {
    server: &'a Server,
    waiter: Waiter,
    clients: Vec<Client>,
    request: Vec<u8>,
    message: Vec<u8>,
    reply: Vec<u8>,
    close: Vec<u8>,
    /// Completed in this phase.
    cycles: u64,
    latencies: Histogram,
}

struct Client {
    stream: Stream,
    begun: Instant,
    step: Step,
    /// What has come in this step.
    input: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Step {
    /// The request was sent.
    Handshake,
    /// The message was sent.
    Echo,
    /// The Close was sent, or the end.
    Close,
}

impl<'a> Churn<'a> {
    fn new(server: &'a Server, clients: usize, waiter: Waiter) -> Outcome<Self> {
        let payload = Payload::Binary.bytes(20);
        let message = sample::client_frame(OpCode::Binary, &payload, KEY);
        let reply = match server.contestant.is_raw() {
            true => message.clone(),
            false => sample::server_frame(MessageType::Binary, &payload),
        };
        let mut churn = Self {
            server,
            waiter,
            clients: Vec::new(),
            request: client::request(server.addr, ""),
            message,
            reply,
            close: sample::client_frame(OpCode::Close, &1000u16.to_be_bytes(), KEY),
            cycles: 0,
            latencies: Histogram::new(),
        };
        for i in 0..clients {
            let client = churn.begin(i)?;
            churn.clients.push(client);
        }
        Ok(churn)
    }

    fn run(&mut self, time: Duration) -> Outcome<()> {
        let end = Instant::now() + time;
        let mut events = [EpollEvent::empty(); 64];
        while Instant::now() < end {
            let events = self.waiter.wait(&mut events)?;
            if events.is_empty() {
                return Err("nothing came back in time".into());
            }
            for event in events {
                self.receive(event.data() as usize)?;
            }
        }
        Ok(())
    }

    fn begin(&self, i: usize) -> Outcome<Client> {
        let begun = Instant::now();
        // On loopback this does not wait, unless the server's queue is full.
        let mut stream = client::connect(self.server, i)?;
        stream.tcp().set_nonblocking(true)?;
        self.waiter.add(&stream, i)?;
        let step = match self.server.contestant.is_raw() {
            true => Step::Echo,
            false => Step::Handshake,
        };
        // All that is sent here is small enough for an empty socket to take it whole.
        stream.write_all(match step {
            Step::Handshake => &self.request,
            _ => &self.message,
        })?;
        Ok(Client { stream, begun, step, input: Vec::new() })
    }

    fn receive(&mut self, i: usize) -> Outcome<()> {
        let client = &mut self.clients[i];
        let mut buf = [0; 1024];
        let n = match client.stream.read(&mut buf) {
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        client.input.extend_from_slice(&buf[..n]);
        let raw = self.server.contestant.is_raw();
        match client.step {
            Step::Handshake => match client::is_accepted(&client.input) {
                None if n > 0 => return Ok(()),
                Some(true) => {
                    client.stream.write_all(&self.message)?;
                    client.step = Step::Echo;
                }
                _ => return Err("a handshake failed".into()),
            },
            Step::Echo if client.input == self.reply => {
                match raw {
                    true => client.stream.tcp().shutdown(Shutdown::Write)?,
                    false => client.stream.write_all(&self.close)?,
                }
                client.step = Step::Close;
            }
            Step::Echo if self.reply.starts_with(&client.input) && n > 0 => return Ok(()),
            Step::Echo => return Err("what came back is not what was sent".into()),
            Step::Close if n > 0 => return Ok(()),
            Step::Close => {
                // §5.5.1: a Close is answered with a Close; whether with the code, we leave open.
                if !raw && client.input.first() != Some(&0x88) {
                    return Err("the server closed without a Close".into());
                }
                self.latencies.record(client.begun.elapsed(), 1);
                self.cycles += 1;
                self.clients[i] = self.begin(i)?;
                return Ok(());
            }
        }
        client.input.clear();
        Ok(())
    }
}
