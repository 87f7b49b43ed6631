//! The echo servers that barews is measured against: `peers NAME ADDRESS [--tls-cert FILE --tls-key FILE]`.
//!
//! Each is written as its library's own examples are: the same loop, the same kind of runtime,
//! buffers as they come, one send a message. Where a library can also queue messages and flush
//! them together, a second server does that. All set `TCP_NODELAY`.

mod tls;
mod offset;
mod raw;
mod frames;
mod raw_epoll;
mod event_loop;
mod actix;
mod fastwebsockets;
mod tokio_tungstenite;
mod tokio_websockets;
mod tungstenite;

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (name, addr, tls) = match args[..] {
        [name, addr] => (name, addr, None),
        [name, addr, "--tls-cert", certificate, "--tls-key", key] => {
            (name, addr, Some((certificate, key)))
        }
        _ => {
            eprintln!("peers NAME ADDRESS [--tls-cert FILE --tls-key FILE]");
            return ExitCode::from(2);
        }
    };
    match serve(name, addr, tls) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {name} on {addr}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until something goes wrong, with this certificate and its key where TLS is to be spoken.
fn serve(name: &str, addr: &str, tls: Option<(&str, &str)>) -> io::Result<()> {
    let tls = tls.map(|(certificate, key)| tls::config(certificate, key)).transpose()?;
    match (name, tls) {
        ("tungstenite", Some(tls)) => tungstenite::serve_tls(addr, tls),
        ("tokio-tungstenite", Some(tls)) => tokio_tungstenite::serve_tls(addr, tls),
        (_, Some(_)) => Err(io::Error::other("it has no TLS here")),
        ("raw", _) => raw::serve(addr),
        ("frames", _) => frames::serve(addr),
        ("raw-epoll", _) => raw_epoll::serve(addr),
        ("event-loop", _) => event_loop::serve(addr),
        ("actix", _) => actix::serve(addr),
        ("tungstenite", _) => tungstenite::serve(addr, tungstenite::send_each),
        ("tungstenite-batch", _) => tungstenite::serve(addr, tungstenite::send_batches),
        ("tokio-tungstenite", _) => tokio_tungstenite::serve(addr, false),
        ("tokio-tungstenite-batch", _) => tokio_tungstenite::serve(addr, true),
        ("fastwebsockets", _) => fastwebsockets::serve(addr),
        ("tokio-websockets", _) => tokio_websockets::serve(addr, false),
        ("tokio-websockets-batch", _) => tokio_websockets::serve(addr, true),
        _ => Err(io::Error::other("there is no such server")),
    }
}
