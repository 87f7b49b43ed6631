//! The echo servers that barews is measured against: `peers NAME ADDRESS`.
//!
//! Each is written as its library's own examples are: the same loop, the same kind of runtime,
//! buffers as they come, one send a message. Where a library can also queue messages and flush
//! them together, a second server does that. All set `TCP_NODELAY`.

mod raw;
mod frames;
mod fastwebsockets;
mod tokio_tungstenite;
mod tokio_websockets;
mod tungstenite;

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, addr] = args.as_slice() else {
        eprintln!("peers NAME ADDRESS");
        return ExitCode::from(2);
    };
    let served: io::Result<()> = match name.as_str() {
        "raw" => raw::serve(addr),
        "frames" => frames::serve(addr),
        "tungstenite" => tungstenite::serve(addr, tungstenite::send_each),
        "tungstenite-batch" => tungstenite::serve(addr, tungstenite::send_batches),
        "tokio-tungstenite" => tokio_tungstenite::serve(addr, false),
        "tokio-tungstenite-batch" => tokio_tungstenite::serve(addr, true),
        "fastwebsockets" => fastwebsockets::serve(addr),
        "tokio-websockets" => tokio_websockets::serve(addr, false),
        "tokio-websockets-batch" => tokio_websockets::serve(addr, true),
        _ => {
            eprintln!("peers: there is no server {name}");
            return ExitCode::from(2);
        }
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {name} on {addr}: {error}");
            ExitCode::FAILURE
        }
    }
}
