//! What a handler on a loop does and hears: what the tests of `rfc6455` have blocking handlers for.

use std::sync::mpsc::{Receiver, Sender as Teller, channel};
use std::time::Instant;

use barews::{
    Accept, BoxError, CloseCode, CloseFrame, CloseInfo, Config, Connection, ConnectionLimits,
    Deadline, Error, EventHandler, Message, Outbox, Reject, Request, Sender, Server, Status,
    TrySendError, UpgradeError,
};

use crate::common::{
    BINARY, CONT, Frame, PATIENCE, PING, PONG, RawClient, TEXT, TestServer, Unopened, awake, close,
    frame, hex, ms, r0, with_timeouts,
};

/// What a handler was called for.
#[derive(Debug)]
enum Call {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Timer,
    /// With how much was queued.
    Drained(usize),
    Closed(Option<Error>, Option<CloseFrame>),
}

/// A handler that does what the path of a request says, and what messages say, and tells of its calls.
struct Acts(Teller<Call>);

impl Acts {
    fn tell(&self, call: Call) {
        // The test may have heard enough.
        let _ = self.0.send(call);
    }

    fn act(what: &str, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        match what {
            "close" => out.close(CloseCode(4000), "ours")?,
            "err" => return Err("on purpose".into()),
            "panic" => panic!("on purpose"),
            "tick" => out.set_timer(Some(ms(30))),
            "flood" => while out.send(&[7; 60_000]).is_ok() {},
            "fill" => {
                while out.queued_bytes() == 0 {
                    out.send(&[7; 60_000])?;
                }
            }
            "user" => {
                let user = out.request().attached::<String>().expect("a user").clone();
                out.send(user.as_str())?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl EventHandler for Acts {
    type State = ();

    fn open(&self, request: &Request, _: Sender) -> Result<(), Reject> {
        match request.path() {
            "/reject" => Err(Reject::new(Status::NOT_FOUND, "no\n").header("X-Why", "tested")),
            "/unopened" => panic!("not this one"),
            _ => Ok(()),
        }
    }

    fn opened(&self, (): &mut (), out: &mut Outbox<'_>) -> Result<(), BoxError> {
        let path = out.request().path().trim_start_matches('/').to_owned();
        Self::act(&path, out)
    }

    fn message(
        &self,
        (): &mut (),
        message: Message<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), BoxError> {
        self.tell(Call::Message(message.as_bytes().to_vec()));
        match message.as_text() {
            Some(what @ ("close" | "err" | "panic" | "tick" | "flood" | "user")) => {
                Self::act(what, out)
            }
            _ => Ok(out.send(message)?),
        }
    }

    fn ping(&self, (): &mut (), payload: &[u8], out: &mut Outbox<'_>) -> Result<(), BoxError> {
        self.tell(Call::Ping(payload.to_vec()));
        Self::act(std::str::from_utf8(payload)?, out)
    }

    fn pong(&self, (): &mut (), payload: &[u8], out: &mut Outbox<'_>) -> Result<(), BoxError> {
        self.tell(Call::Pong(payload.to_vec()));
        Self::act(std::str::from_utf8(payload)?, out)
    }

    fn timer(&self, (): &mut (), out: &mut Outbox<'_>) -> Result<(), BoxError> {
        self.tell(Call::Timer);
        Ok(out.send("tick")?)
    }

    fn drained(&self, (): &mut (), out: &mut Outbox<'_>) -> Result<(), BoxError> {
        self.tell(Call::Drained(out.queued_bytes()));
        if out.request().path() == "/fill" {
            return Self::act("fill", out);
        }
        Ok(out.send("drained")?)
    }

    fn closed(&self, (): (), how: CloseInfo) {
        let is_panic = how.close_frame.as_ref().is_some_and(|frame| frame.code == CloseCode(4999));
        self.tell(Call::Closed(how.error, how.close_frame));
        assert!(!is_panic, "nobody is left to mind");
    }

    fn needs_thread(&self, request: &Request) -> bool {
        assert!(request.path() != "/undecided", "it does not know");
        request.path() == "/thread"
    }

    fn handle(&self, mut conn: Connection) -> Result<(), BoxError> {
        let mut buf = Vec::new();
        while let Some(message) = conn.recv(&mut buf)? {
            conn.send(message)?;
        }
        Ok(())
    }
}

fn serve(set_up: impl FnOnce(Server) -> Server) -> (TestServer, Receiver<Call>) {
    let (teller, calls) = channel();
    (TestServer::with_event_handler(set_up, Acts(teller)), calls)
}

fn open(server: &TestServer, path: &str) -> RawClient {
    let mut client = server.connect();
    client.send(r0().target(path).bytes());
    client.expect_upgrade();
    client
}

/// How the next connection to end has done so.
fn ended(calls: &Receiver<Call>) -> (Option<Error>, Option<(CloseCode, String)>) {
    loop {
        if let Call::Closed(error, frame) = calls.recv_timeout(PATIENCE).expect("an end") {
            return (error, frame.map(|frame| (frame.code, frame.reason)));
        }
    }
}

/// §7.1.4: if both ends begin, each sends one Close.
#[test]
fn w51_both_ends_close_at_once() {
    let (server, calls) = serve(|server| server);
    let mut client = server.connect();
    client.send([r0().target("/close").bytes(), close(4001, "theirs")].concat());
    client.expect_upgrade();
    assert_eq!(client.expect_close(4000), "ours");
    drop(client);
    let (error, frame) = ended(&calls);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(frame, Some((CloseCode(4001), "theirs".to_owned())));
}

/// Our own closing handshake with a client that never answers, silent or not.
#[test]
fn a_close_that_is_not_answered() {
    let config = with_timeouts(|timeouts| timeouts.close = ms(300));
    let (server, calls) = serve(|server| server.config(config));
    for talks in [false, true] {
        let start = Instant::now();
        let mut client = open(&server, "/close");
        client.expect(&Frame::close(4000, "ours"));
        while talks && !client.heard_within(ms(20)) {
            let _ = client.try_send([frame(TEXT, "still"), frame(PING, "")].concat());
        }
        client.expect_eof();
        let (error, frame) = ended(&calls);
        assert!(matches!(error, Some(Error::DeadlineExceeded(Deadline::Close))), "{error:?}");
        assert_eq!(frame, None);
        assert!((ms(250)..ms(3000)).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
    assert!(!calls.try_iter().any(|call| matches!(call, Call::Message(_))), "thrown away");
}

/// While its answer is waited for, messages are thrown away, but a violation still counts.
#[test]
fn what_comes_before_the_answer_to_our_close() {
    let (server, calls) = serve(|server| server);
    let mut client = open(&server, "/close");
    client.expect(&Frame::close(4000, "ours"));
    client.send([frame(TEXT, "late"), frame(PING, "late"), frame(0x01, "a")].concat());
    client.send([frame(CONT, "b"), close(4001, "done")].concat());
    client.expect_eof();
    drop(client);
    let (error, frame) = ended(&calls);
    assert!(error.is_none() && frame.is_some(), "{error:?}");

    let mut client = open(&server, "/close");
    client.expect(&Frame::close(4000, "ours"));
    client.send(hex("83 80 m"));
    client.expect_eof();
    let (error, frame) = ended(&calls);
    assert!(matches!(error, Some(Error::Protocol(_))) && frame.is_none(), "{error:?}");
}

/// A peer that answers our Close with a flood and no Close is not listened to for ever.
#[test]
fn edge_e_a_flood_is_no_answer() {
    let config = with_timeouts(|timeouts| timeouts.close = ms(300));
    let (server, calls) = serve(|server| server.config(config));
    let mut client = open(&server, "/close");
    client.expect(&Frame::close(4000, "ours"));
    let start = Instant::now();
    // A stream that ends when all was just read may leave a client with a window of zero.
    client.flood(&frame(BINARY, [0; 1000]).repeat(50), u64::MAX, ms(1000));
    let (error, _) = ended(&calls);
    assert!(matches!(error, Some(Error::DeadlineExceeded(Deadline::Close))), "{error:?}");
    assert!(awake(start) < ms(5000), "{:?}", start.elapsed());
}

/// How a call ends decides how its connection does, and no other (§7.4.1), whichever call it is; what
/// was right before is answered.
#[test]
fn f10_calls_that_fail() {
    let (server, calls) = serve(|server| server);
    let mut other = server.open();
    for (what, code) in [("close", 4000), ("err", 1011), ("panic", 1011)] {
        let by_open = (format!("/{what}"), vec![], vec![]);
        let echo = vec![Frame::text("first")];
        let by_message = [frame(TEXT, "first"), frame(TEXT, what), frame(TEXT, "late")].concat();
        let by_ping = [frame(TEXT, "first"), frame(PING, what)].concat();
        let by_pong = [frame(TEXT, "first"), frame(PONG, what)].concat();
        let pong = [&echo[..], &[Frame::pong(what)]].concat();
        for (path, sent, answers) in [
            by_open,
            ("/".to_owned(), by_message, echo.clone()),
            ("/".to_owned(), by_ping, pong),
            ("/".to_owned(), by_pong, echo),
        ] {
            println!("{what} {path} {sent:02x?}");
            let mut client = open(&server, &path);
            client.send(sent);
            for answer in answers {
                client.expect(&answer);
            }
            assert_eq!(client.read_frame().expect("a Close").close_parts().0, code);
            let _ = client.try_send(close(code, ""));
            client.expect_eof();
            drop(client);
            let (error, _) = ended(&calls);
            assert!(error.is_none(), "{error:?}");
            other.send(frame(TEXT, "other"));
            other.expect(&Frame::text("other"));
        }
    }
    // The last call of all.
    let mut client = server.open();
    client.send(close(4999, ""));
    client.expect_close(4999);
    other.finish();
}

/// A client that sends on without a look reads how its handler has ended.
#[test]
fn edge_ae_who_is_still_sending_learns_how_the_handler_ended() {
    let (server, _calls) = serve(|server| server);
    let message = frame(BINARY, vec![7; 64 << 10]);
    for (path, code) in [("/close", 4000), ("/err", 1011), ("/panic", 1011)] {
        let mut client = open(&server, path);
        for _ in 0..(9 << 20) / message.len() {
            client.try_send(&message).expect("no write fails before the Close is read");
        }
        let last = client.read_frame().expect("a Close, not just the end of the stream");
        assert_eq!(last.close_parts().0, code, "{path}");
        let _ = client.try_send(close(code, ""));
        client.expect_eof();
    }
}

/// The owner hears of a handler's errors with their requests, of the connection's, and of no others.
#[test]
fn the_owner_hears_of_errors() {
    let (sender, errors) = channel();
    let (server, _calls) = serve(move |server| {
        server
            .on_upgrade(|request| match request.path() {
                "/hijack" => Ok::<_, Reject>(Accept::new().hijack()),
                _ => Ok(Accept::new()),
            })
            .on_error(move |context, error| {
                let target = context.request().map(|request| request.target().to_owned());
                let kind = error.downcast_ref::<UpgradeError>().map(Unopened::new);
                let told = (context.peer_addr(), target, kind, error.to_string());
                sender.send(told).expect("the test waits");
                panic!("a panic here is nobody's business");
            })
    });
    let panicked = || Some(Unopened::Panicked("not this one".to_owned()));
    for (path, status, kind, words) in [
        ("/err", 101, None, "on purpose"),
        ("/panic", 101, None, "the handler panicked: on purpose"),
        ("/reject", 404, Some(Unopened::Answered(404)), ""),
        ("/unopened", 500, panicked(), "not this one"),
    ] {
        let mut client = server.connect();
        client.send(r0().target(path).bytes());
        match status {
            101 => {
                client.expect_upgrade();
                client.expect_close(1011);
            }
            status => drop(client.expect_refusal(status)),
        }
        let peer = client.addr;
        drop(client);
        let (other, target, other_kind, text) = errors.recv_timeout(PATIENCE).expect("an error");
        assert_eq!((other, target.as_deref()), (Some(peer), Some(path)));
        assert_eq!(other_kind, kind);
        assert!(text.contains(words), "{text}");
    }
    // What a loop cannot do.
    let mut client = server.connect();
    client.send(r0().target("/hijack").bytes());
    client.expect_refusal(500);
    let (_, _, kind, text) = errors.recv_timeout(PATIENCE).expect("an error");
    assert!(matches!(kind, Some(Unopened::InvalidLimits(_))) && text.contains("thread"), "{text}");
    let mut client = server.open();
    client.send(hex("83 80 m"));
    client.expect_close(1002);
    drop(client);
    let (_, _, kind, text) = errors.recv_timeout(PATIENCE).expect("an error");
    assert!(kind.is_none() && text.contains("opcode 0x3"), "{text}");
    server.open().finish();
    open(&server, "/close").finish_ours();
    drop(server);
    let more: Vec<_> = errors.iter().collect();
    assert!(more.is_empty(), "nothing was wrong: {more:?}");
}

impl RawClient {
    /// Answers the Close that [`Acts`] has begun.
    fn finish_ours(mut self) {
        self.expect(&Frame::close(4000, "ours"));
        self.send(close(4000, ""));
        self.expect_eof();
    }
}

/// Control frames are told of, each once, between messages and inside one; Pings are answered all the
/// same, ahead of what the handler sends.
#[test]
fn control_frames_are_told_of() {
    let (server, calls) = serve(|server| server);
    let mut client = server.open();
    client.send(
        [
            frame(PING, "1"),
            frame(PONG, "2"),
            frame(0x01, "a"),
            frame(PING, ""),
            frame(PONG, ""),
            frame(CONT, "b"),
        ]
        .concat(),
    );
    for answer in [Frame::pong("1"), Frame::pong(""), Frame::text("ab")] {
        client.expect(&answer);
    }
    client.finish();
    drop(client);
    let heard: Vec<_> = (0..6).map(|_| calls.recv_timeout(PATIENCE).expect("a call")).collect();
    let said = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let shown = heard.iter().map(|call| match call {
        Call::Message(text) => format!("message {}", said(text)),
        Call::Ping(payload) => format!("ping {}", said(payload)),
        Call::Pong(payload) => format!("pong {}", said(payload)),
        other => format!("{other:?}").chars().take(6).collect(),
    });
    let expected = ["ping 1", "pong 2", "ping ", "pong ", "message ab", "Closed"];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

/// What a request was accepted with goes along, and its limits hold for it alone.
#[test]
fn what_a_request_is_accepted_with() {
    let limits = ConnectionLimits {
        max_message_size: Some(10),
        write: Some(ms(200)),
        ..ConnectionLimits::default()
    };
    let (server, calls) = serve(|server| {
        server.on_upgrade(move |request| match request.path() {
            "/user" => Ok::<_, Reject>(Accept::new().attach("Ali".to_owned())),
            "/fill" | "/small" => Ok(Accept::new().limits(limits.clone())),
            _ => Ok(Accept::new()),
        })
    });
    let mut client = open(&server, "/user");
    client.expect(&Frame::text("Ali"));
    client.send(frame(TEXT, "x".repeat(11)));
    client.expect(&Frame::text("x".repeat(11)));
    client.finish();
    let mut client = open(&server, "/small");
    client.send(frame(TEXT, "x".repeat(11)));
    client.expect_close(1009);
    drop(client);
    for _ in 0..2 {
        ended(&calls);
    }
    let start = Instant::now();
    let client = open(&server, "/fill");
    let (error, _) = ended(&calls);
    assert!(matches!(error, Some(Error::DeadlineExceeded(Deadline::Write))), "{error:?}");
    assert!((ms(180)..ms(9_000)).contains(&start.elapsed()), "{:?}", start.elapsed());
    drop(client);
}

/// A handler is told when its peer has taken all that was sent; until then no message is received.
#[test]
fn w58_a_peer_that_reads_late() {
    let (server, calls) = serve(|server| server);
    let mut client = open(&server, "/flood");
    client.send(frame(TEXT, "held back"));
    assert!(client.heard_within(PATIENCE) && calls.recv_timeout(ms(100)).is_err());
    let mut last = client.read_frame().expect("a message");
    while last == Frame::binary([7; 60_000]) {
        last = client.read_frame().expect("a message");
    }
    assert_eq!(last, Frame::text("drained"));
    // Where the last of it has filled the socket to the last byte, that has to wait, and is told of in turn.
    while last == Frame::text("drained") {
        last = client.read_frame().expect("a message");
    }
    assert_eq!(last, Frame::text("held back"));
    client.finish();
    let mut calls = std::iter::from_fn(|| calls.recv_timeout(PATIENCE).ok());
    assert!(matches!(calls.next(), Some(Call::Drained(0))));
    let next = calls.find(|call| !matches!(call, Call::Drained(0)));
    assert!(matches!(next, Some(Call::Message(_))));
}

/// A timer is called once, in good time, and not at all for who is gone.
#[test]
fn a_timer() {
    let (server, calls) = serve(|server| server);
    let start = Instant::now();
    let mut client = open(&server, "/tick");
    client.expect(&Frame::text("tick"));
    assert!((ms(30)..ms(2000)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(matches!(calls.recv_timeout(PATIENCE), Ok(Call::Timer)));
    assert!(!client.heard_within(ms(100)));
    client.send([frame(TEXT, "tick"), close(1000, "")].concat());
    client.expect_close(1000);
    assert!(matches!(calls.recv_timeout(PATIENCE), Ok(Call::Message(_))));
    assert!(matches!(calls.recv_timeout(PATIENCE), Ok(Call::Closed(None, Some(_)))));
    assert!(calls.recv_timeout(ms(100)).is_err());
}

/// §7.4.1: at a shutdown each has its Close, and what its handler sends then is refused.
#[test]
fn a_shutdown() {
    let (mut server, calls) = serve(|server| server);
    let (mut idle, mut late) = (server.open(), server.open());
    let thread = std::thread::spawn(move || {
        for client in [&mut idle, &mut late] {
            client.expect(&Frame::close(1001, "the server is shutting down"));
        }
        late.send(frame(TEXT, "late"));
        for client in [&mut idle, &mut late] {
            let _ = client.try_send(close(1001, ""));
            client.expect_eof();
        }
    });
    assert!(server.stop(PATIENCE) < ms(5000));
    thread.join().expect("all were told");
    assert!(matches!(ended(&calls), (None, _)));
    assert!(matches!(ended(&calls), (None, _)));
}

/// Some have a thread of their own beside those on the loop, from the first byte behind the request on;
/// a panic in the choice costs its request.
#[test]
fn some_have_a_thread() {
    let (server, _calls) = serve(|server| server);
    let mut client = server.connect();
    client.send(r0().target("/undecided").bytes());
    client.expect_refusal(500);
    for path in ["/thread", "/"].repeat(5) {
        let mut client = server.connect();
        client.send([r0().target(path).bytes(), frame(TEXT, "ahead")].concat());
        client.expect_upgrade();
        client.expect(&Frame::text("ahead"));
        for _ in 0..20 {
            client.send([frame(TEXT, "a"), frame(PING, "p")].concat());
            client.expect(&Frame::text("a"));
            client.expect(&Frame::pong("p"));
        }
        client.finish();
    }
}

/// What may not be on the wire does not get there, and nothing is sent behind a Close.
#[test]
fn an_outbox_refuses() {
    struct Refused(Teller<bool>);

    impl EventHandler for Refused {
        type State = ();

        fn open(&self, _: &Request, _: Sender) -> Result<(), Reject> {
            Ok(())
        }

        fn opened(&self, (): &mut (), out: &mut Outbox<'_>) -> Result<(), BoxError> {
            for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000].map(CloseCode) {
                let closed = out.close(code, "");
                assert!(matches!(closed, Err(Error::InvalidCloseCode(other)) if other == code));
            }
            assert!(matches!(out.ping(&[7; 126]), Err(Error::TooLong)) && !out.is_closed());
            out.ping(&[7; 125])?;
            out.send("before")?;
            out.close(CloseCode(4000), &"\u{2603}".repeat(42))?;
            out.close(CloseCode(4001), "another")?;
            assert!(matches!(out.send("behind"), Err(TrySendError::Closed)) && out.is_closed());
            assert!(matches!(out.ping(b""), Err(Error::Closed)));
            Ok(self.0.send(true)?)
        }

        fn message(&self, (): &mut (), _: Message<'_>, _: &mut Outbox<'_>) -> Result<(), BoxError> {
            Ok(())
        }
    }

    let (teller, told) = channel();
    let server =
        TestServer::with_event_handler(|server| server.config(Config::default()), Refused(teller));
    let mut client = server.open();
    client.expect(&Frame::new(PING, [7; 125]));
    client.expect(&Frame::text("before"));
    client.expect(&Frame::close(4000, &"\u{2603}".repeat(41)));
    client.send(close(4000, ""));
    client.expect_eof();
    assert_eq!(told.recv_timeout(PATIENCE), Ok(true), "no assertion has failed");
}
