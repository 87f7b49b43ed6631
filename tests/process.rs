//! Faults that take the real program: limits of the system, signals, silence. Rows F7 to F20 as far
//! as a program on one machine can be made to meet them; deadlines are shortened.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

#[allow(unused, reason = "shared with other tests, which use the rest")]
mod common;

use common::{Binary, PATIENCE, command};

/// Serves on a free port, run by a shell that does something else first, such as to set limits.
fn serve_after(prelude: &str) -> Binary {
    Binary::serve_under(&["sh", "-c", &format!("{prelude}\nexec \"$0\" \"$@\"")], &[])
}

/// Processor time used, in clock ticks of 10 ms.
fn ticks(program: &Binary) -> u64 {
    let path = format!("/proc/{}/stat", program.pid());
    let text = fs::read_to_string(path).expect("a running process");
    let fields: Vec<&str> = text.rsplit_once(") ").expect("a name").1.split(' ').collect();
    fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime")
}

fn connect(program: &Binary) -> TcpStream {
    let stream = TcpStream::connect(program.addr).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("set_read_timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("set_write_timeout");
    stream
}

fn open(program: &Binary) -> WebSocket<TcpStream> {
    try_open(program).expect("a WebSocket")
}

fn try_open(program: &Binary) -> Result<WebSocket<TcpStream>, String> {
    let url = format!("ws://{}/", program.addr);
    let client = tungstenite::client(url, connect(program));
    client.map(|(client, _)| client).map_err(|error| error.to_string())
}

#[track_caller]
fn echoes(client: &mut WebSocket<TcpStream>) {
    client.send(Message::text("hello")).expect("send");
    assert_eq!(client.read().expect("an echo"), Message::text("hello"));
}

/// Reads to the end of the stream; what came.
fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

#[test]
fn f7_a_thread_that_cannot_be_started_costs_one_connection() {
    // The limit counts a user's threads and does not bind root, who plays somebody else: one who
    // may not be able to look into this folder.
    let copy = std::env::temp_dir().join(format!("barews-f7-{}", std::process::id()));
    fs::copy(env!("CARGO_BIN_EXE_barews"), &copy).expect("a copy");
    let prelude = format!(
        "if [ \"$(id -u)\" = 0 ]; then
            exec prlimit --nproc=20 setpriv --reuid 54321 --regid 54321 --clear-groups \
                '{}' \"$@\"
        fi
        prlimit --pid $$ --nproc=$(($(ls -d /proc/[0-9]*/task/[0-9]* | wc -l) + 20))",
        copy.display()
    );
    let program = serve_after(&prelude);
    fs::remove_file(&copy).expect("it runs without its file");
    let mut open = Vec::new();
    let refusal = loop {
        assert!(open.len() < 2000, "the limit does not bite");
        match try_open(&program) {
            Ok(client) => open.push(client),
            Err(refusal) => break refusal,
        }
    };
    assert!(refusal.contains("503") || refusal.contains("reset"), "{refusal}");
    assert!(open.len() >= 10);
    open.iter_mut().for_each(echoes);
    // One that ends makes room for another.
    open.pop().expect("some").close(None).expect("close");
    let start = Instant::now();
    let mut again = loop {
        match try_open(&program) {
            Ok(client) => break client,
            Err(_) => assert!(start.elapsed() < PATIENCE),
        }
    };
    echoes(&mut again);
}

#[test]
fn f8_without_descriptors_accepting_rests_and_recovers() {
    let program = serve_after("ulimit -n 64");
    let mut open: Vec<_> = (0..50).map(|_| open(&program)).collect();
    // These wait in the backlog, once descriptors are out.
    let mut waiting: Vec<_> = (0..30).map(|_| connect(&program)).collect();
    let before = ticks(&program);
    thread::sleep(Duration::from_secs(1));
    let busy = ticks(&program) - before;
    assert!(busy <= 5, "{busy} % of a processor, for nothing");
    open.iter_mut().for_each(echoes);
    drop(open);
    let freed = Instant::now();
    let mut last = waiting.pop().expect("some");
    last.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").expect("send");
    assert!(read_to_end(&mut last).starts_with(b"HTTP/1.1 404 "));
    // 1 s for the rest, and some for a busy machine.
    assert!(freed.elapsed() < Duration::from_secs(10), "{:?}", freed.elapsed());
    // Letter AC: it is told, though not each time.
    drop(last);
    drop(waiting);
    let mut metrics = connect(&program);
    metrics.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").expect("send");
    let text = String::from_utf8(read_to_end(&mut metrics)).expect("text");
    let failures = text.lines().find_map(|line| line.strip_prefix("barews_accept_failures_total "));
    let failures: u64 = failures.expect("a counter").parse().expect("a number");
    assert!(failures >= 2, "{failures}");
    let lines = program.stop();
    let told = lines.iter().filter(|line| line.contains("no connection could be accepted: "));
    assert_eq!(told.count(), 1, "{lines:?}");
}

#[test]
fn f13_a_client_that_stops_reading_is_cut_by_the_write_deadline() {
    let mut program = Binary::serve(&["--write-timeout", "300ms", "--close-timeout", "200ms"]);
    let mut client = open(&program);
    let start = Instant::now();
    // More than both sockets hold, and nothing that is echoed is read. Short messages, since long
    // ones have longer.
    let error = loop {
        assert!(start.elapsed() < PATIENCE, "it is still open");
        if let Err(error) = client.send(Message::binary(vec![7; 4 << 10])) {
            break error;
        }
    };
    assert!(!matches!(error, tungstenite::Error::Capacity(_)), "{error}");
    drop(client);
    program.settle();
    let line = program.line_with(" bytes out, ");
    assert!(line.ends_with("failed 1006: what was sent was not taken in time"), "{line}");
    echoes(&mut open(&program));
}

#[test]
fn f14_a_peer_that_vanishes_is_noticed() {
    let program = Binary::serve(&["--ping-after", "200ms", "--idle-timeout", "600ms"]);
    let start = Instant::now();
    let mut client = open(&program);
    // Nothing is read, so no Ping is answered.
    program.wait_for(1);
    program.settle();
    let spent = start.elapsed();
    assert!(spent >= Duration::from_millis(600) && spent < Duration::from_secs(10), "{spent:?}");
    assert!(matches!(client.read(), Ok(Message::Ping(_))));
    match client.read() {
        Ok(Message::Close(Some(close))) => assert_eq!(close.code, CloseCode::Policy),
        other => panic!("{other:?}"),
    }
}

#[test]
fn f17_little_memory_refuses_messages_and_not_the_server() {
    // The row's 512 MiB are in the slow tests.
    let mut program = serve_after("ulimit -v 196608");
    let clients: Vec<_> = (0..32).map(|_| open(&program)).collect();
    let message = vec![7; (16 << 20) - 1];
    // All but the last byte of each is sent: none can be let go of by an echo.
    let mut frame = vec![0x82, 0xff];
    frame.extend((message.len() as u64 + 1).to_be_bytes());
    frame.extend([0; 4]);
    let senders: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let (frame, message) = (frame.clone(), message.clone());
            thread::spawn(move || {
                let stream = client.get_mut();
                // The server may cut it before the end, or take the rest and throw it away.
                let sent = stream.write_all(&frame).and_then(|()| stream.write_all(&message));
                stream.set_read_timeout(Some(Duration::from_secs(1))).expect("set_read_timeout");
                match client.read() {
                    Ok(Message::Close(Some(close))) => assert_eq!(close.code, CloseCode::Again),
                    Ok(other) => panic!("{other:?}"),
                    // What is held says nothing; else a reset has overtaken the Close.
                    Err(_) => return (client, sent.is_err()),
                }
                (client, true)
            })
        })
        .collect();
    // Those that are held end when the last is refused.
    let ended: Vec<_> =
        senders.into_iter().map(|sender| sender.join().expect("no panic")).collect();
    let refused = ended.iter().filter(|(_, refused)| *refused).count();
    assert!(refused > 0, "192 MiB hold no 32 such messages");
    drop(ended);
    program.settle();
    let lines: Vec<String> = (0..32).map(|_| program.line_with(" bytes out, ")).collect();
    let count = |end: &str| lines.iter().filter(|line| line.contains(end)).count();
    // Others end with their clients.
    let overloaded = count("failed 1013: too many bytes of unfinished messages");
    assert!(overloaded >= refused, "{refused} refused, {lines:#?}");
    assert_eq!(count(", failed "), 32, "{lines:#?}");
    let mut after = open(&program);
    after.send(Message::binary(message.clone())).expect("send");
    assert_eq!(after.read().expect("an echo"), Message::binary(message));
}

#[test]
fn f18_a_stopped_server_expires_what_is_due_and_goes_on() {
    let args = ["--handshake-timeout", "300ms", "--ping-after", "100ms", "--idle-timeout", "400ms"];
    let program = Binary::serve(&args);
    let mut silent = open(&program);
    let mut half = connect(&program);
    half.write_all(b"GET / HTTP/1.1\r\n").expect("send");
    program.signal("STOP");
    thread::sleep(Duration::from_millis(700));
    program.signal("CONT");
    assert!(read_to_end(&mut half).starts_with(b"HTTP/1.1 408 "));
    // Read without the client, which would answer a Ping: where the stop came before the server
    // had begun to wait, its time begins only now.
    let said = read_to_end(silent.get_mut());
    let close = said.strip_prefix(b"\x89\x00").unwrap_or(&said);
    assert!(close.starts_with(b"\x88") && close[2..].starts_with(b"\x03\xf0"), "{said:?}");
    program.settle();
    echoes(&mut open(&program));
    let lines = program.stop();
    assert!(!lines.iter().any(|line| line.contains("panicked")), "{lines:#?}");
}

#[test]
fn f19_shutdown_says_goodbye_to_1000_clients() {
    let program = serve_after("ulimit -n 4096");
    let mut clients: Vec<_> = (0..1000).map(|_| open(&program)).collect();
    let start = Instant::now();
    program.signal("TERM");
    for client in &mut clients {
        match client.read() {
            Ok(Message::Close(Some(close))) => assert_eq!(close.code, CloseCode::Away),
            other => panic!("{other:?}"),
        }
        // tungstenite answers the Close with the next call.
        let _ = client.flush();
    }
    assert_eq!(program.wait().0.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn f19_a_client_that_does_not_answer_is_cut_after_the_grace_period() {
    let program = Binary::serve(&["--grace", "300ms"]);
    let mut client = open(&program);
    let start = Instant::now();
    program.signal("INT");
    assert!(matches!(client.read(), Ok(Message::Close(_))));
    assert_eq!(program.wait().0.code(), Some(0));
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn f19_a_second_signal_ends_the_program_at_once() {
    let program = Binary::serve(&["--grace", "60s"]);
    let mut client = open(&program);
    program.signal("TERM");
    assert!(matches!(client.read(), Ok(Message::Close(_))));
    program.signal("TERM");
    assert_eq!(program.wait().0.code(), Some(128 + 15));
}

#[test]
fn f20_a_busy_port_is_an_error_of_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let addr = listener.local_addr().expect("an address").to_string();
    let output = command(&[&addr]).output().expect("run");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(text.starts_with(&format!("barews: cannot listen on {addr}: ")), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn f20_a_quick_restart_binds_again() {
    let program = Binary::serve(&[]);
    let addr = program.addr.to_string();
    let mut client = open(&program);
    echoes(&mut client);
    program.signal("TERM");
    assert!(matches!(client.read(), Ok(Message::Close(_))));
    let _ = client.flush();
    assert_eq!(program.wait().0.code(), Some(0));
    // The server closed first, so its end of the connection lingers in the system.
    assert_eq!(Binary::start(&mut command(&[&addr])).address(), addr);
}
