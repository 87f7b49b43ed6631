//! `barews`: an echo server, as a dependable endpoint to test WebSocket clients against.

mod cli;
mod log;
mod signals;

use std::process::{self, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use barews::{BoxError, Config, Connection, Error, Server, ShutdownHandle, UpgradeError};

use cli::{Command, Options};
use log::Log;
use signals::Signals;

/// Stack size of a connection's thread, in bytes. The echo loop needs little, and of what is not
/// touched nothing is used; a panic's report needs the most.
const STACK: usize = 128 << 10;

fn main() -> ExitCode {
    let signals = Signals::block();
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Serve(options)) => {
            let addr = options.addr.clone();
            match serve(*options, signals) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&format!("cannot listen on {addr}: {error}")),
            }
        }
        Ok(Command::Print(text)) => match log::print(&text) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        },
        Err(wrong) => fail(&format!("{wrong}; see barews --help")),
    }
}

fn fail(wrong: &str) -> ExitCode {
    log::complain(&format!("barews: {wrong}\n"));
    ExitCode::from(2)
}

fn serve(options: Options, signals: Signals) -> std::io::Result<()> {
    let log = Log::start();
    // A report of a panic must not wait for standard error either.
    std::panic::set_hook(Box::new({
        let log = log.clone();
        move |panic| log.line(panic.to_string())
    }));
    let config = Config { stack_size: Some(STACK), ..options.config };
    let server = Server::bind(&options.addr)?.config(config).on_error({
        let log = log.clone();
        move |peer, error| {
            // A handler's error was logged with the rest of its connection.
            if error.is::<UpgradeError>() {
                log.line(format!("{} refused: {error}", log::addr(peer)));
            }
        }
    });
    log.line(format!("listening on {}", server.local_addr().unwrap()));
    stop_on(signals, server.shutdown_handle(), options.grace, &log)?;
    server.run({
        let log = log.clone();
        move |conn| echo(conn, &log)
    })?;
    log.flush();
    Ok(())
}

/// Has the first signal shut the server down, and the second end the program at once.
fn stop_on(
    signals: Signals,
    server: ShutdownHandle,
    grace: Duration,
    log: &Log,
) -> std::io::Result<()> {
    let log = log.clone();
    let wait = move || {
        let signal = signals.wait();
        log.line(format!("signal {signal}: shutting down"));
        let shutdown = move || {
            server.shutdown(grace);
            // A handler that still runs has had its time; the one thread that counts, in `run`,
            // ends the program sooner if it can.
            thread::sleep(Duration::from_secs(1));
            process::exit(0);
        };
        if thread::Builder::new().spawn(shutdown).is_err() {
            process::exit(0);
        }
        // What shells report for a program that a signal has ended.
        process::exit(128 + signals.wait());
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// Sends every message back, and logs one line at the end.
fn echo(mut conn: Connection, log: &Log) -> Result<(), BoxError> {
    let start = Instant::now();
    let (mut messages, mut bytes) = (0u64, 0u64);
    let mut buf = Vec::new();
    let result = loop {
        match conn.recv(&mut buf) {
            Ok(None) => break Ok(()),
            Ok(Some(message)) => {
                messages += 1;
                bytes += message.len() as u64;
                match conn.write(message) {
                    // A shutdown has begun to close: `recv` sees that through.
                    Ok(()) | Err(Error::Closed) => {}
                    Err(error) => break Err(error),
                }
            }
            Err(error) => break Err(error),
        }
    };
    let end = match (&result, conn.close_frame()) {
        (Err(error), _) => format!("failed: {error}"),
        (Ok(()), Some(frame)) => format!("closed {} {:?}", frame.code, frame.reason),
        (Ok(()), None) => "closed".to_owned(),
    };
    log.line(format!(
        "{} {} {messages} messages {bytes} bytes {:.3} s {end}",
        log::addr(conn.peer_addr()),
        conn.request().target(),
        start.elapsed().as_secs_f64(),
    ));
    Ok(result?)
}
