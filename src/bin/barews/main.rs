//! `barews`: an echo server, as a dependable endpoint to test WebSocket clients against.

mod cli;
mod log;

use std::process::ExitCode;
use std::time::Instant;

use barews::{BoxError, Config, Connection, Server};

use cli::Command;
use log::Log;

/// Stack size of a connection's thread, in bytes. The echo loop needs little, and of what is not
/// touched nothing is used; a panic's report needs the most.
const STACK: usize = 128 << 10;

fn main() -> ExitCode {
    let (text, code) = match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Serve(addr)) => match serve(&addr) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (format!("barews: cannot listen on {addr}: {error}\n"), 2),
        },
        Ok(Command::Print(text)) => {
            let printed = log::print(&text);
            return if printed { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(wrong) => (format!("barews: {wrong}; see barews --help\n"), 2),
    };
    log::complain(&text);
    ExitCode::from(code)
}

fn serve(addr: &str) -> std::io::Result<()> {
    let log = Log::start();
    // A report of a panic must not wait for standard error either.
    std::panic::set_hook(Box::new({
        let log = log.clone();
        move |panic| log.line(panic.to_string())
    }));
    let config = Config { stack_size: Some(STACK), ..Config::default() };
    let server = Server::bind(addr)?.config(config).on_error({
        let log = log.clone();
        move |peer, error| {
            // A handler's error was logged with the rest of its connection.
            if error.downcast_ref::<barews::UpgradeError>().is_some() {
                log.line(format!("{} refused: {error}", log::addr(peer)));
            }
        }
    });
    log.line(format!("listening on {}", server.local_addr()));
    server.run(move |conn| echo(conn, &log))
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
                if let Err(error) = conn.write(message) {
                    break Err(error);
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
