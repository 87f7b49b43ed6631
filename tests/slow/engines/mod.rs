//! Both engines do the same for the same bytes: the peer has the same of them, the handler the same
//! calls, and both it and the operator are told the same of the end.
//!
//! A seed makes the settings of two servers and what clients say to both. What may differ is: where a
//! Pong, or what another thread sends, stands among the answers; the bytes of what is compressed; and
//! the Date. Deadlines are not tried, nor resets: what those come before is a matter of time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, atomic::AtomicU64, atomic::Ordering};
use std::thread;
use std::time::{Duration, Instant};

use barews::{Accept, Config, Reject, Response, RunningServer, Server, Status};

use crate::common::deflate::Inflater;
use crate::common::stream::Stream;
use crate::common::{Frame, PATIENCE, tls, unix};

mod handler;
mod session;

use handler::{Handler, digest};
use session::{Random, Session, config};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Over {
    Tcp,
    Unix,
    Tls,
}

/// One of the two servers.
struct Engine {
    handler: Handler,
    running: RunningServer,
    addr: SocketAddr,
    over: Over,
}

impl Engine {
    fn start(config: &Config, over: Over, on_loop: bool) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = tcp.local_addr().unwrap();
        let server = match over {
            Over::Tcp => Server::from_listener(tcp),
            Over::Unix => Server::from_listener(unix::listen(addr)),
            Over::Tls => Server::from_listener(tcp).map(|it| it.tls(Arc::clone(&tls::SERVER))),
        };
        let handler = Handler::default();
        let (errors, threads) = (handler.clone(), handler.clone());
        let server = server
            .unwrap()
            .config(config.clone())
            .on_upgrade(|request| match request.target() {
                "/REJECT" => Err(Reject::from(Status::FORBIDDEN)),
                "/PANIC" => resume_unwind(Box::new("on_upgrade")),
                _ => Ok(Accept::new()),
            })
            .on_request(|request| match request.target() {
                "/PANIC" => resume_unwind(Box::new("on_request")),
                _ => Response::new(Status::OK, "a page"),
            })
            .on_error(move |context, error| {
                let target = context.request().map(|request| request.target().to_owned());
                errors.log(1, format!("{error} {target:?} {}", context.is_disconnect()));
            });
        let running = match on_loop {
            true => server.spawn_event_loop(handler.clone()),
            false => server.spawn(move |conn| threads.serve(conn)),
        };
        Self { handler, running: running.unwrap(), addr, over }
    }

    /// Plays a session: the answers, those that may stand elsewhere, the handler's calls, and the
    /// operator's.
    fn play(&self, session: &Session) -> [Vec<String>; 5] {
        let tcp = || {
            let tcp = TcpStream::connect(self.addr).unwrap();
            tcp.set_nodelay(true).unwrap();
            tcp
        };
        let received = converse(
            session,
            match self.over {
                Over::Tcp => Stream::Tcp(tcp()),
                Over::Unix => Stream::Unix(unix::dial(self.addr)),
                Over::Tls => Stream::Tls(Box::new(tls::TlsClient::connect(tcp()))),
            },
        );
        assert!(self.running.shutdown_handle().wait(PATIENCE), "it is not over");
        let (pongs, answers): (Vec<_>, Vec<_>) =
            understand(&received).into_iter().partition(|line| line.starts_with("10 "));
        let (others, answers) = answers.into_iter().partition(|line| line.contains("thread"));
        let [calls, errors] = self.handler.take();
        [answers, others, pongs, calls, errors]
    }
}

/// Writes all that a client has to say, ends its side, and reads all that comes, to the end.
fn converse(session: &Session, mut stream: Stream) -> Vec<u8> {
    stream.socket().set_nonblocking(true).unwrap();
    let (mut rest, mut cuts, mut ended) = (&session.bytes[..], session.cuts.iter().copied(), false);
    let mut next = cuts.next();
    let (mut received, mut room, start) = (Vec::new(), vec![0; 64 << 10], Instant::now());
    let waits = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
    loop {
        assert!(start.elapsed() < PATIENCE, "no end after {:?}", understand(&received));
        match stream.read(&mut room) {
            Ok(len @ 1..) => received.extend(&room[..len]),
            Err(error) if waits(&error) && next.is_some() => {}
            Err(error) if waits(&error) => thread::sleep(Duration::from_micros(50)),
            Ok(0) | Err(_) => return received,
        }
        let Some(cut) = next else {
            ended = ended || !stream.end().is_err_and(|error| waits(&error));
            continue;
        };
        match stream.write(&rest[..cut.min(rest.len())]) {
            Ok(len) => {
                // A shorter one is a cut as good as any.
                rest = &rest[len..];
                next = if rest.is_empty() { None } else { cuts.next().or(Some(rest.len())) };
            }
            Err(error) if waits(&error) => {}
            // It has heard enough.
            Err(_) => next = None,
        }
    }
}

/// What a server has said: lines, and a line for each frame.
fn understand(received: &[u8]) -> Vec<String> {
    let end = received.windows(4).position(|end| end == b"\r\n\r\n");
    let (head, mut rest) = received.split_at(end.map_or(0, |at| at + 4));
    let head = String::from_utf8_lossy(head);
    let lines = head.lines().filter(|line| !line.starts_with("Date: "));
    let mut lines: Vec<_> = lines.map(str::to_owned).collect();
    if !head.starts_with("HTTP/1.1 101") {
        return lines.into_iter().chain([digest(rest)]).collect();
    }
    let bits = if head.contains("server_max_window_bits=9") { 9 } else { 15 };
    let mut inflater = Inflater::new(bits, !head.contains("server_no_context_takeover"));
    loop {
        let frame = Frame::read_marked(&mut rest);
        let (is_deflated, Frame { fin, opcode, mut payload }) = match frame {
            Ok(Some(frame)) => frame,
            end => {
                lines.push(if end.is_ok() { "the end" } else { "half a frame" }.to_owned());
                return lines;
            }
        };
        if is_deflated {
            payload = inflater.message(&payload).expect("DEFLATE");
        }
        lines.push(format!("{opcode} {fin} {is_deflated} {}", digest(&payload)));
    }
}

/// What differs for this seed.
fn differences(seed: u64) -> Vec<String> {
    let random = &mut Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let over = random.pick(&[Over::Tcp, Over::Tcp, Over::Unix, Over::Tls]);
    let config = config(random);
    let engines = [false, true].map(|on_loop| Engine::start(&config, over, on_loop));
    let mut found = Vec::new();
    for number in 0..30 {
        println!("seed {seed}, session {number}");
        let session = Session::new(random);
        let [threads, loops] = engines.each_ref().map(|engine| engine.play(&session));
        for (threads, loops) in threads.iter().zip(&loops).filter(|(a, b)| a != b) {
            let same = threads.iter().zip(loops).take_while(|(a, b)| a == b).count();
            let (threads, loops) = (&threads[same..], &loops[same..]);
            let about = format!("seed {seed}, session {number} {over:?} {}", session.script);
            found.push(format!("{about}: threads {threads:#?}, loops {loops:#?}"));
        }
    }
    found
}

/// `SEEDS=1000..2000` has others tried.
#[test]
fn both_do_the_same() {
    let seeds = std::env::var("SEEDS").unwrap_or("0..10".to_owned());
    let (first, last) = seeds.split_once("..").expect("a range");
    let (next, last) = (AtomicU64::new(first.parse().unwrap()), last.parse().unwrap());
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let seeds = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                for seed in seeds.take_while(|seed| *seed < last) {
                    let differences = differences(seed);
                    found.lock().unwrap().extend(differences);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
