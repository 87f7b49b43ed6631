//! What those who run it have: the listener of their own, the drain, and metrics that are there
//! before anything has happened.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::common::client::Response;
use crate::common::{
    Binary, Frame, PATIENCE, RawClient, Request, TEXT, close, command, frame, ms, r0,
};
use crate::plain::{get, metric, metrics_at_rest};

/// What everybody is told at the end.
fn going_away() -> Frame {
    Frame::new(0x88, [&1001_u16.to_be_bytes()[..], b"the server is shutting down"].concat())
}

/// A server, and where those who run it find it.
fn serve(args: &[&str]) -> (Binary, SocketAddr) {
    let mut binary = Binary::serve(&[args, &["--admin", "127.0.0.1:0"]].concat());
    let line = binary.line_with("admin on");
    let admin = line.strip_prefix("barews: admin on http://").expect(&line).trim_end_matches('/');
    let admin = admin.parse().expect("an address");
    (binary, admin)
}

fn ask(addr: SocketAddr, request: Request) -> Response {
    let mut client = RawClient::connect(addr);
    client.send(request.bytes());
    let response = client.read_response();
    client.expect_eof();
    response
}

fn admin(addr: SocketAddr, line: &str) -> Response {
    ask(addr, Request::new(format!("{line} HTTP/1.1")).add("Host: localhost"))
}

fn text(response: &Response) -> &str {
    str::from_utf8(&response.body).expect("text")
}

/// What a drain tells of itself: how far it is, what is left of its time, and the connections.
fn state(response: &Response) -> (String, Option<f64>, u64) {
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("application/json"));
    let json: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    let connections = json["connections"].as_u64().expect("a number");
    (json["state"].as_str().expect("a name").to_owned(), json["seconds_left"].as_f64(), connections)
}

/// Waits until it says so.
fn wait_for(addr: SocketAddr, name: &str) {
    let start = Instant::now();
    while state(&admin(addr, "GET /drain")).0 != name {
        assert!(start.elapsed() < PATIENCE, "it is never {name}");
    }
}

/// At the cap it answers all the same, and what it answers is counted nowhere.
#[test]
fn the_admin_listener_has_places_of_its_own() {
    let (binary, addr) = serve(&["--max-connections", "1", "--private-metrics"]);
    let mut only = RawClient::open(binary.addr);
    // It is counted a little after its answer.
    only.send(frame(TEXT, "open"));
    only.expect(&Frame::text("open"));
    let health = admin(addr, "GET /healthz");
    assert_eq!((health.status, text(&health)), (200, "ok\n"));
    let metrics = admin(addr, "GET /metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for (name, value) in [
        ("barews_connections", 1.0),
        ("barews_connections_max", 1.0),
        ("barews_http_requests_total{code=\"200\"}", 0.0),
        ("barews_state{state=\"serving\"}", 1.0),
    ] {
        assert_eq!(metric(text(&metrics), name), value, "{name}");
    }
    assert_eq!(state(&admin(addr, "GET /drain")), ("serving".to_owned(), None, 1));
    assert!(text(&admin(addr, "GET /")).contains("POST /drain?over=30s"));
    for (line, status, allow) in [
        ("GET /echo", 404, None),
        ("PUT /metrics", 405, Some("GET, HEAD")),
        ("PUT /drain", 405, Some("GET, HEAD, POST, DELETE")),
        ("POST /drain?over=2h", 400, None),
        ("POST /drain?over=x", 400, None),
        ("POST /drain?over=off", 400, None),
    ] {
        let response = admin(addr, line);
        assert_eq!((response.status, response.header("allow")), (status, allow), "{line}");
    }
    let mut client = RawClient::connect(addr);
    client.send(r0().bytes());
    client.expect_refusal(404);
    only.finish();
    // A balancer still finds the one, and nobody finds the other.
    for (target, status) in
        [("/healthz", 200), ("/metrics", 404), ("/metrics/", 404), ("/%6detrics", 404)]
    {
        let start = Instant::now();
        // The place of who was there before is free a little later.
        while get(&binary, target).status != status {
            assert!(start.elapsed() < PATIENCE, "{target}");
        }
    }
    assert_eq!(state(&admin(addr, "GET /drain")).0, "serving");
}

/// A web page gets nothing, whatever it calls this machine (DNS rebinding).
#[test]
fn web_pages_cannot_drain() {
    let (mut binary, addr) = serve(&[]);
    for (lines, status) in [
        (&["Host: localhost", "Origin: https://a.example"][..], 403),
        (&["Host: localhost", "Origin: null"], 403),
        (&["Host: a.example:9100"], 403),
        (&["Host: barews:9100"], 200),
        (&["Host: 127.0.0.1:9100"], 200),
        (&["Host: [::1]:9100"], 200),
    ] {
        for line in ["GET /metrics HTTP/1.1", "POST /drain?over=1h HTTP/1.1"] {
            let request = lines.iter().fold(Request::new(line), |request, line| request.add(line));
            assert_eq!(ask(addr, request).status, status, "{line} {lines:?}");
        }
        let wanted = if status == 403 { "serving" } else { "draining" };
        assert_eq!(state(&admin(addr, "GET /drain")).0, wanted, "{lines:?}");
        admin(addr, "DELETE /drain");
    }
    let line = binary.line_with("admin refused");
    assert!(line.ends_with(": requests of web pages (Origin) are not answered here"), "{line}");
    binary.stop();
}

/// The health check fails at once, and all are asked to go, evenly; who comes meanwhile is served,
/// and who comes later is not.
#[test]
fn a_drain() {
    let (mut binary, addr) = serve(&[]);
    let start = Instant::now();
    let mut clients: Vec<_> = (0..3).map(|_| RawClient::open(binary.addr)).collect();
    let (name, left, connections) = state(&admin(addr, "POST /drain?over=1500ms"));
    assert_eq!((&*name, connections), ("draining", 3));
    assert!((1.0..=1.5).contains(&left.expect("a time")), "{left:?}");
    let health = get(&binary, "/healthz");
    assert_eq!((health.status, text(&health)), (503, "draining\n"));
    assert_eq!(admin(addr, "GET /healthz").status, 503);
    // One who still comes is let in.
    let mut late = RawClient::open(binary.addr);
    late.send(frame(TEXT, "late"));
    late.expect(&Frame::text("late"));
    clients.push(late);
    let told: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            std::thread::spawn(move || {
                client.expect(&going_away());
                let told = Instant::now();
                client.send(close(1001, ""));
                client.expect_eof();
                told
            })
        })
        .collect();
    let mut told: Vec<_> = told.into_iter().map(|told| told.join().expect("told")).collect();
    told.sort();
    // Not all at once, and not all at the end.
    assert!(told[3] - told[0] > ms(600), "{told:?}");
    assert!(told[3] - start < ms(1500) + PATIENCE, "{told:?}");
    wait_for(addr, "drained");
    let mut refused = RawClient::connect(binary.addr);
    refused.send(r0().bytes());
    assert_eq!(refused.expect_refusal(503).header("retry-after"), Some("1"));
    let text = metrics_at_rest(&binary);
    for (name, value) in [
        ("barews_closed_total{code=\"1001\"}", 4.0),
        ("barews_refused_total{reason=\"answered_503\"}", 1.0),
        ("barews_state{state=\"drained\"}", 1.0),
        ("barews_state{state=\"serving\"}", 0.0),
    ] {
        assert_eq!(metric(&text, name), value, "{name}");
    }
    for part in ["drain over 1.5s, asked for by 127.0.0.1:", "drained: everybody has been asked"] {
        binary.line_with(part);
    }
    binary.stop();
}

/// It is called off for those who have not been asked, and begun anew with another time.
#[test]
fn a_drain_is_called_off_and_hurried() {
    let (mut binary, addr) = serve(&[]);
    let mut client = RawClient::open(binary.addr);
    assert_eq!(state(&admin(addr, "POST /drain?over=1h")).0, "draining");
    assert_eq!(state(&admin(addr, "DELETE /drain")), ("serving".to_owned(), None, 1));
    binary.line_with("drain called off, asked for by 127.0.0.1:");
    assert_eq!(get(&binary, "/healthz").status, 200);
    client.send(frame(TEXT, "still here"));
    client.expect(&Frame::text("still here"));
    admin(addr, "POST /drain");
    let left = state(&admin(addr, "GET /drain")).1.expect("a time");
    assert!((20.0..=30.0).contains(&left), "{left}");
    admin(addr, "POST /drain?over=0");
    client.expect(&going_away());
    client.send(close(1001, ""));
    client.expect_eof();
    wait_for(addr, "drained");
    admin(addr, "DELETE /drain");
    binary.echoes();
}

/// SIGTERM during a drain is no different from any other; the admin listener answers to the end.
#[test]
fn a_signal_ends_a_drain() {
    let (binary, addr) = serve(&["--grace", "60s", "--close-timeout", "60s"]);
    let mut client = RawClient::open(binary.addr);
    admin(addr, "POST /drain?over=1h");
    binary.signal("TERM");
    client.expect(&going_away());
    wait_for(addr, "stopping");
    let health = admin(addr, "GET /healthz");
    assert_eq!((health.status, text(&health)), (503, "stopping\n"));
    // Too late for both.
    admin(addr, "DELETE /drain");
    assert_eq!(state(&admin(addr, "POST /drain?over=0")).0, "stopping");
    let start = Instant::now();
    client.send(close(1001, ""));
    client.expect_eof();
    drop(client);
    let (status, lines) = binary.wait();
    assert_eq!(status.code(), Some(0), "{lines:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// With `--drain` the first signal drains, the second shuts down, and the third ends it.
#[test]
fn a_signal_that_drains() {
    let (mut binary, addr) = serve(&["--drain", "1h", "--grace", "1h", "--close-timeout", "1h"]);
    let mut client = RawClient::open(binary.addr);
    binary.signal("TERM");
    assert_eq!(
        binary.line_with("signal"),
        "barews: signal 15: draining over 3600s, then shutting down"
    );
    wait_for(addr, "draining");
    assert_eq!(get(&binary, "/healthz").status, 503);
    // Nobody calls off what the program ends behind.
    assert_eq!(state(&admin(addr, "DELETE /drain")).0, "draining");
    binary.echoes();
    client.send(frame(TEXT, "as ever"));
    client.expect(&Frame::text("as ever"));
    binary.signal("TERM");
    client.expect(&going_away());
    wait_for(addr, "stopping");
    binary.signal("TERM");
    let (status, lines) = binary.wait();
    assert_eq!(status.code(), Some(143), "{lines:?}");
}

/// Its time is over, and nobody is left: the end.
#[test]
fn a_signal_that_drains_to_the_end() {
    let (binary, _) = serve(&["--drain", "300ms", "--grace", "1h"]);
    let mut client = RawClient::open(binary.addr);
    let start = Instant::now();
    binary.signal("INT");
    client.expect(&going_away());
    client.send(close(1001, ""));
    client.expect_eof();
    drop(client);
    let (status, lines) = binary.wait();
    assert_eq!(status.code(), Some(0), "{lines:?}");
    assert!((ms(300)..ms(5000)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn options_that_cannot_be() {
    let refused = Binary::start(&mut command(&["--private-metrics"])).wait();
    assert_eq!(refused.0.code(), Some(2));
    let line = "barews: --private-metrics takes /metrics away, and no --admin serves it";
    assert_eq!(refused.1, [line]);
    let mut binary = Binary::serve(&["--admin", "0.0.0.0:0"]);
    let line = binary.line_with("--admin");
    assert!(
        line.ends_with(" is not for this machine alone: whoever reaches it may drain"),
        "{line}"
    );
}

#[cfg(unix)]
#[test]
fn the_admin_listener_may_be_a_file() {
    let path = std::env::temp_dir().join(format!("barews-admin-{}", std::process::id()));
    let path = path.to_str().expect("UTF-8");
    let mut binary = Binary::serve(&["--admin", &format!("unix:{path}")]);
    assert_eq!(binary.line(), format!("barews: admin on unix:{path}"));
    let stream = std::os::unix::net::UnixStream::connect(path).expect("a listener");
    std::io::Write::write_all(&mut &stream, b"POST /drain HTTP/1.1\r\nHost: a.example\r\n\r\n")
        .expect("room");
    let answer = std::io::read_to_string(&stream).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("draining"), "{answer}");
    binary.stop();
    assert!(!std::path::Path::new(path).exists());
}

/// The names of all series.
fn series(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').expect("a value").0).collect()
}

/// No series comes with its first event, or the event would not be seen (`rate`).
#[test]
fn every_series_is_there_from_the_start() {
    let args: &[&str] = match cfg!(feature = "deflate") {
        true => &["--faults", "--deflate"],
        false => &["--faults"],
    };
    let (binary, addr) = serve(args);
    let before = admin(addr, "GET /metrics");
    let mut clients = 0;
    let mut open = |target: &str| {
        clients += 1;
        let mut client = RawClient::connect(binary.addr);
        client.send(r0().target(target).bytes());
        client.expect_upgrade();
        client
    };
    for code in [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999] {
        let mut client = open("/echo");
        client.send(close(code, ""));
        client.expect_close(code);
    }
    for code in [1008, 1012, 3456] {
        let mut client = open(&format!("/close/{code}"));
        client.send(close(code, ""));
        client.expect_close(code);
    }
    for (wrong, code) in
        [(&b"\x81\x00"[..], 1002), (b"\xc1\x80\0\0\0\0", 1002), (b"\x83\x80\0\0\0\0", 1002)]
    {
        let mut client = open("/echo");
        client.send(wrong);
        client.expect_close(code);
    }
    drop(open("/drop/0"));
    for line in [
        "GET / HTTP/1.1",
        "GET /none HTTP/1.1",
        "PUT / HTTP/1.1",
        "GET /echo HTTP/1.1",
        "OPTIONS * HTTP/1.1",
    ] {
        let mut client = RawClient::connect(binary.addr);
        client.send(Request::new(line).add("Host: a").bytes());
        client.read_response();
    }
    for wrong in
        ["GET / HTTP/1.1\r\n\r\n", "GET /\r\n\r\n", "\x16\x03\x01\x02\x00", "GET / HTTP/1.1\n"]
    {
        let mut client = RawClient::connect(binary.addr);
        client.send(wrong);
        client.read_rest();
    }
    admin(addr, "POST /drain?over=0");
    wait_for(addr, "drained");
    let mut refused = RawClient::connect(binary.addr);
    refused.send(r0().bytes());
    refused.expect_refusal(503);
    let start = Instant::now();
    let after = loop {
        let after = admin(addr, "GET /metrics");
        if metric(text(&after), "barews_connection_duration_seconds_count") >= f64::from(clients)
            || start.elapsed() > PATIENCE
        {
            break after;
        }
    };
    assert_eq!(series(text(&before)), series(text(&after)));
    assert!(series(text(&before)).len() > 150, "{}", text(&before));
}

/// Paths that speak for themselves are asked to go too, and whoever goes by itself went by itself.
#[test]
fn a_drain_of_paths_by_hand() {
    let (binary, addr) = serve(&["--faults"]);
    let mut late = crate::paths::open(&binary, "/close/1000?delay=60000");
    let mut slow = crate::paths::open(&binary, "/slow/1000");
    admin(addr, "POST /drain?over=1h");
    let gone = RawClient::open(binary.addr);
    drop(gone);
    let closed = |code: &str, count: f64| {
        let start = Instant::now();
        let name = format!("barews_closed_total{{code=\"{code}\"}}");
        while metric(text(&admin(addr, "GET /metrics")), &name) < count {
            assert!(start.elapsed() < PATIENCE, "{code}");
        }
    };
    closed("1006", 1.0);
    admin(addr, "POST /drain?over=0s");
    for client in [&mut late, &mut slow] {
        client.expect(&going_away());
        client.send(close(1001, ""));
        client.expect_eof();
    }
    drop((late, slow));
    closed("1001", 2.0);
}
