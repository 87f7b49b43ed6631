use std::time::Instant;

use crate::common::client::Response;
use crate::common::{BINARY, Binary, PATIENCE, RawClient, Request, TEXT, close, frame, r0};

pub fn get(binary: &Binary, target: &str) -> Response {
    request(binary, &format!("GET {target} HTTP/1.1"))
}

pub fn request(binary: &Binary, line: &str) -> Response {
    let mut client = RawClient::connect(binary.addr);
    client.send(Request::new(line).add("Host: a").bytes());
    let response = client.read_response();
    // RFC 9110 §7.8: 426 names Upgrade beside it.
    let connection = if response.status == 426 { "close, Upgrade" } else { "close" };
    assert_eq!(response.header("connection"), Some(connection), "{line}");
    client.expect_eof();
    response
}

#[test]
fn the_page() {
    let binary = Binary::serve(&[]);
    for target in ["/", "/?from=somewhere"] {
        let page = get(&binary, target);
        assert_eq!(page.status, 200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(page.body.starts_with(b"<!doctype html>"));
    }
    let wrong = request(&binary, "PUT / HTTP/1.1");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD")));
    // A WebSocket at the same place.
    let mut client = RawClient::open(binary.addr);
    client.finish();
}

#[test]
fn health() {
    let binary = Binary::serve(&[]);
    let health = get(&binary, "/healthz");
    assert_eq!((health.status, &health.body[..]), (200, &b"ok\n"[..]));
    assert_eq!(get(&binary, "/health").status, 404);
    assert_eq!(get(&binary, "/echo").status, 426);
}

/// The metrics once nobody is connected: a connection is counted as ended when its thread is done,
/// a little after its stream.
pub fn metrics_at_rest(binary: &Binary) -> String {
    metrics_once(binary, |text| metric(text, "barews_connections") == 0.0)
}

/// The metrics once they tell of what was done: what has its answer may be counted a little later.
pub fn metrics_once(binary: &Binary, told: impl Fn(&str) -> bool) -> String {
    let start = Instant::now();
    loop {
        let mut client = RawClient::connect(binary.addr);
        client.send(Request::new("GET /metrics HTTP/1.1").add("Host: a").bytes());
        let response = client.read_response();
        let text = str::from_utf8(&response.body).expect("text");
        // Where there is no place left, the one who asks may be turned away too.
        if response.status != 503 {
            assert_eq!(response.status, 200, "{text}");
            let kind = response.header("content-type").expect("a type");
            assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
            if told(text) {
                return text.to_owned();
            }
        }
        assert!(start.elapsed() < PATIENCE, "{text}");
    }
}

/// The value of a line of the metrics.
pub fn metric(text: &str, name: &str) -> f64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name} in {text}")).parse().expect("a number")
}

#[test]
fn metrics_tell_what_happened() {
    let binary = Binary::serve(&[]);
    let mut open = RawClient::open(binary.addr);
    open.send([frame(TEXT, "12345"), frame(BINARY, "123")].concat());
    open.read_frame().expect("an echo");
    open.read_frame().expect("an echo");
    let mut closed = RawClient::open(binary.addr);
    closed.send(close(3001, ""));
    closed.expect_close(3001);
    let mut wrong = RawClient::open(binary.addr);
    wrong.send(frame(TEXT, b"\xff"));
    wrong.expect_close(1007);
    let mut refused = RawClient::connect(binary.addr);
    refused.send(Request::new("GET /echo HTTP/1.1").bytes());
    refused.expect_refusal(400);
    let mut answered = RawClient::connect(binary.addr);
    answered.send(r0().target("/delay/x").bytes());
    answered.expect_refusal(404);
    let text = metrics_once(&binary, |text| {
        let refused = ["answered_404", "missing_host"]
            .map(|reason| metric(text, &format!("barews_refused_total{{reason=\"{reason}\"}}")));
        metric(text, "barews_connections") == 1.0 && refused == [1.0; 2]
    });
    for (name, value) in [
        ("barews_connections_opened_total", 3.0),
        ("barews_messages_received_total", 2.0),
        ("barews_messages_sent_total", 2.0),
        ("barews_received_bytes_total", 8.0),
        ("barews_sent_bytes_total", 8.0),
        ("barews_closed_total{code=\"3xxx\"}", 1.0),
        ("barews_closed_total{code=\"1007\"}", 1.0),
        ("barews_violations_total{kind=\"text_not_utf8\"}", 1.0),
        ("barews_refused_total{reason=\"missing_host\"}", 1.0),
        ("barews_refused_total{reason=\"answered_404\"}", 1.0),
        ("barews_handshake_duration_seconds_count", 3.0),
        ("barews_connection_duration_seconds_count", 2.0),
    ] {
        assert_eq!(metric(&text, name), value, "{name}");
    }
    // A build without compression does not speak of it.
    assert_eq!(text.contains("deflate"), cfg!(feature = "deflate"));
    // Each family is described, once.
    for name in ["connections", "refused_total", "handshake_duration_seconds"] {
        assert_eq!(text.matches(&format!("# TYPE barews_{name} ")).count(), 1, "{name}");
    }
}

/// As on a full disk, too: nothing else tells of it.
#[test]
fn lines_that_cannot_be_written_are_counted() {
    let mut binary = Binary::serve(&[]);
    binary.close_stderr();
    metrics_once(&binary, |text| {
        // A program that another test is about to start may have the other end too, for a moment.
        RawClient::open(binary.addr).finish();
        metric(text, "barews_log_lines_lost_total") >= 2.0
    });
}

/// What the cap turns away is counted too.
#[test]
fn the_cap_shows_in_the_metrics() {
    let binary = Binary::serve(&["--max-connections", "1"]);
    let mut only = RawClient::open(binary.addr);
    let mut refused = RawClient::connect(binary.addr);
    refused.send(r0().bytes());
    refused.expect_refusal(503);
    only.finish();
    drop(only);
    let name = "barews_refused_total{reason=\"too_many_connections\"}";
    metrics_once(&binary, |text| metric(text, name) >= 1.0);
}
