use super::*;
use crate::http::HeadError;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const PLAIN: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sun, 06 Nov 1994 08:49:37 GMT.
fn date() -> Option<Date> {
    Some(Date::from_unix(784_111_777))
}

/// What has been fed these bytes, and what came of it.
fn fed(bytes: &str) -> (Opening, usize, Step) {
    let mut opening = Opening::new(HeadLimits::default());
    let (used, step) = opening.feed(bytes.as_bytes(), &["https://a.example".to_owned()], date());
    (opening, used, step)
}

/// The state, as the drawing names it.
fn state(opening: &Opening) -> &'static str {
    match opening {
        Opening::Reading(_) => "Reading",
        Opening::Upgrade(_) => "Upgrade",
        Opening::Plain { .. } => "Plain",
        Opening::Done => "Done",
    }
}

/// The status that an answer has, and whether it has a body; nothing if it is empty.
#[track_caller]
fn seen(bytes: &[u8]) -> Option<(u16, bool)> {
    let text = str::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    assert!(head.contains("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT"), "{text}");
    assert!(head.contains("\r\nConnection: close"), "{text}");
    Some((head[9..12].parse().unwrap(), !body.is_empty()))
}

type Event = fn(&mut Opening) -> Answer;

/// What answers in any state: the event, the status, and the outcome.
const ANSWERS: [(&str, Event, u16, Outcome); 9] = [
    ("time_out", |it| it.time_out(date()), 408, Outcome::TimedOut),
    ("out_of_memory", |it| it.out_of_memory(date()), 503, Outcome::OutOfMemory),
    ("decline", |it| it.decline(date()), 400, Outcome::Refused(HandshakeError::NotWebSocket)),
    ("fail", |it| it.fail(date()), 500, Outcome::Answered(Status::INTERNAL_SERVER_ERROR)),
    ("respond", |it| respond(it, Status::OK, "fine"), 200, Outcome::Answered(Status::OK)),
    (
        "reject",
        |it| respond(it, Status::UNAUTHORIZED, "no"),
        401,
        Outcome::Answered(Status::UNAUTHORIZED),
    ),
    (
        "respond with a 101",
        |it| respond(it, Status::SWITCHING_PROTOCOLS, "no"),
        500,
        Outcome::InvalidResponse(InvalidResponse::NotFinal),
    ),
    (
        "accept with a bad header",
        |it| accept(it, &Accept::new().header("Upgrade", "h2c")).unwrap_err(),
        500,
        Outcome::InvalidResponse(InvalidResponse::ReservedHeader),
    ),
    (
        "accept with a subprotocol that was not offered",
        |it| accept(it, &Accept::new().subprotocol("chat")).unwrap_err(),
        500,
        Outcome::InvalidResponse(InvalidResponse::SubprotocolNotOffered),
    ),
];

fn respond(opening: &mut Opening, status: Status, body: &str) -> Answer {
    opening.respond(&Response::new(status, body), date())
}

fn accept(opening: &mut Opening, accept: &Accept) -> Result<Vec<u8>, Answer> {
    let (_, _, Step::Upgrade(head)) = fed(UPGRADE) else { panic!("it asks for a connection") };
    opening.accept(&head, accept, None, date())
}

/// Ways into each state: the bytes, the state, and whether an answer has a body.
const STATES: [(&str, &str, bool); 7] = [
    ("", "Reading", true),
    ("GET /", "Reading", true),
    ("HEAD / HTTP/1.1\r\n", "Reading", false),
    (UPGRADE, "Upgrade", true),
    (PLAIN, "Plain", true),
    (HEAD, "Plain", false),
    ("\0", "Done", false),
];

#[test]
fn every_event_in_every_state() {
    let not_asked_for = Outcome::Refused(HandshakeError::NotWebSocket);
    for (bytes, name, has_body) in STATES {
        for (event, run, status, outcome) in ANSWERS {
            let mut opening = fed(bytes).0;
            assert_eq!(state(&opening), name);
            let answer = run(&mut opening);
            let (mut status, mut wanted) = (status, outcome);
            if event.starts_with("accept") && name != "Upgrade" {
                (status, wanted) = (400, not_asked_for);
            }
            // What is not sent is not found to be invalid.
            if name == "Done" && event == "respond with a 101" {
                wanted = Outcome::Answered(Status::SWITCHING_PROTOCOLS);
            }
            let sent = (name != "Done").then_some((status, has_body));
            assert_eq!(seen(&answer.bytes), sent, "{event} in {name}");
            assert_eq!(answer.outcome, wanted, "{event} in {name}");
            assert_eq!((state(&opening), opening.wants()), ("Done", 0), "{event} in {name}");
        }
        // The one that opens.
        let mut opening = fed(bytes).0;
        match accept(&mut opening, &Accept::new()) {
            Ok(reply) => assert!(name == "Upgrade" && reply.starts_with(b"HTTP/1.1 101 ")),
            Err(answer) => assert!(name != "Upgrade" && answer.outcome == not_asked_for),
        }
        assert_eq!(state(&opening), "Done");
        // And the one that goes on, which means something in the first state only.
        let mut opening = fed(bytes).0;
        let before = state(&opening);
        let (used, step) = opening.feed(b"\n", &[], date());
        match before {
            "Reading" => assert!(matches!(step, Step::Refused(..)) && state(&opening) == "Done"),
            _ => assert!(matches!(step, Step::More) && (used, state(&opening)) == (0, before)),
        }
    }
}

#[test]
fn bytes_come_to_a_request_in_any_pieces() {
    for (request, name) in [(UPGRADE, "Upgrade"), (PLAIN, "Plain"), (HEAD, "Plain")] {
        for size in [1, 2, 7, 1_000] {
            let (mut opening, mut total) = (Opening::new(HeadLimits::default()), 0);
            let stream = [request.as_bytes(), b"\x81\x80"].concat();
            for piece in stream.chunks(size) {
                let (used, step) = opening.feed(piece, &[], date());
                total += used;
                match step {
                    Step::More => assert_ne!(total, 0),
                    Step::Upgrade(head) | Step::Plain(head) => {
                        assert!(head.header("Host").is_some())
                    }
                    Step::Refused(..) => panic!("{request}"),
                }
            }
            // What is behind the request is for others.
            assert_eq!((total, state(&opening)), (request.len(), name));
        }
    }
}

#[test]
fn a_refusal_answers_and_says_why() {
    let good = |from: &str, to: &str| UPGRADE.replacen(from, to, 1);
    let head = HandshakeError::Head;
    for (request, status, has_body, error, was_read) in [
        ("GET\t".to_owned(), 400, true, head(HeadError::InvalidMethod), false),
        ("HEAD / HTTP/1.1\r\n: a".to_owned(), 400, false, head(HeadError::EmptyName), true),
        (
            format!("GET /{}", "a".repeat(9_000)),
            414,
            true,
            head(HeadError::RequestLineTooLong),
            false,
        ),
        (good("Host: a\r\n", ""), 400, true, HandshakeError::MissingHost, true),
        (good("GET", "HEAD"), 405, false, HandshakeError::MethodNotGet, true),
        (good("13", "8"), 426, true, HandshakeError::UnsupportedVersion, true),
        (
            good("Host", "Origin: http://b\r\nHost"),
            403,
            true,
            HandshakeError::OriginNotAllowed,
            true,
        ),
    ] {
        let (opening, _, step) = fed(&request);
        let Step::Refused(answer, head) = step else { panic!("{request}: {step:?}") };
        assert_eq!(seen(&answer.bytes), Some((status, has_body)), "{request}");
        assert_eq!(answer.outcome, Outcome::Refused(error), "{request}");
        assert_eq!((head.is_some(), state(&opening)), (was_read, "Done"), "{request}");
    }
    // RFC 9113 §6.8: what speaks HTTP/2 gets a frame, and nothing else.
    let (_, _, Step::Refused(answer, None)) = fed("PRI * HTTP/2.0\r\n") else { panic!("refused") };
    assert_eq!(answer.outcome, Outcome::Refused(head(HeadError::Http2Preface)));
    assert_eq!(Some(&answer.bytes[..]), HeadError::Http2Preface.frame());
}

#[test]
fn no_more_is_wanted_than_shows_that_a_head_is_too_large() {
    let limits = HeadLimits { max_head_size: 100, ..HeadLimits::default() };
    let mut opening = Opening::new(limits);
    assert_eq!(opening.wants(), 101);
    assert!(matches!(opening.feed(b"GET / HTTP/1.1\r\n", &[], None), (16, Step::More)));
    assert_eq!(opening.wants(), 85);
}
