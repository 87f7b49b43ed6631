//! A server in a program that has other things to do: started, and stopped when the program is, with a Close
//! for everyone and time for those who are in the middle of something. Below is how it is tested.
//!
//! ```sh
//! cargo run --example embedded    # Ctrl-C or SIGTERM stops it, and a second one at once
//! cargo test --example embedded
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use std::{env, io, thread};

use barews::{Connection, RunningServer, Server};

/// How long a stop may take those who do not answer.
const GRACE: Duration = Duration::from_secs(10);
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let (signal, signals) = channel();
    // SIGINT, SIGTERM and SIGHUP; on Windows Ctrl-C and the like.
    ctrlc::set_handler(move || {
        let _ = signal.send(());
    })?;

    let messages = Arc::new(AtomicU64::new(0));
    let server = start(&addr, Arc::clone(&messages))?;
    eprintln!("listening on ws://{}", server.local_addr().expect("bound to an address"));

    // What the program does is its own affair.
    while let Err(RecvTimeoutError::Timeout) = signals.recv_timeout(REPORT_INTERVAL) {
        eprintln!("{} messages so far", messages.load(Ordering::Relaxed));
    }

    let handle = server.shutdown_handle();
    thread::spawn(move || {
        if signals.recv().is_ok() {
            handle.shutdown(Duration::ZERO);
        }
    });
    server.shutdown(GRACE);
    server.join()?;
    eprintln!("{} messages in all", messages.load(Ordering::Relaxed));
    Ok(())
}

/// Starts the server, which numbers the messages it receives.
fn start(addr: &str, messages: Arc<AtomicU64>) -> io::Result<RunningServer> {
    Server::bind(addr)?.spawn(move |mut conn: Connection| {
        let mut buf = Vec::new();
        while conn.recv(&mut buf)?.is_some() {
            let number = messages.fetch_add(1, Ordering::Relaxed) + 1;
            conn.send(&number.to_string())?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use tungstenite::Message;
    use tungstenite::protocol::frame::coding::CloseCode;

    use super::*;

    #[test]
    fn messages_are_numbered_until_the_server_stops() {
        let messages = Arc::new(AtomicU64::new(0));
        // Any port that is free, so that tests run beside each other.
        let server = start("127.0.0.1:0", Arc::clone(&messages)).unwrap();
        let url = format!("ws://{}/", server.local_addr().unwrap());
        let (mut client, _) = tungstenite::connect(url).unwrap();
        for number in ["1", "2", "3"] {
            client.send(Message::text("another")).unwrap();
            assert_eq!(client.read().unwrap(), Message::text(number));
        }
        let client = thread::spawn(move || client.read().unwrap());
        server.shutdown(GRACE);
        server.join().unwrap();
        let Message::Close(Some(close)) = client.join().unwrap() else { panic!("no Close") };
        assert_eq!(close.code, CloseCode::Away);
        assert_eq!(messages.load(Ordering::Relaxed), 3);
    }
}
