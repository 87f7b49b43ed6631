use std::time::{Duration, Instant};

use crate::common::client::Response;
use crate::common::{BINARY, Binary, Frame, PING, RawClient, TEXT, close, frame, r0};
use crate::paths::{open, read_text};
use crate::plain::{get, metric, metrics_at_rest, metrics_once, request};

const COOKIE: &str = "session=0123456789abcdef";

/// Opens a connection that offers subprotocols; the answer.
fn offer(binary: &Binary, target: &str, offers: &str) -> (RawClient, Response) {
    let mut client = RawClient::connect(binary.addr);
    client.send(r0().target(target).add(format!("Sec-WebSocket-Protocol: {offers}")).bytes());
    let response = client.expect_upgrade();
    (client, response)
}

/// The JSON of `/headers`, asked for with credentials.
fn headers(binary: &Binary) -> String {
    let mut client = RawClient::connect(binary.addr);
    let request = r0()
        .target("/headers?token=mine")
        .add(format!("cOOkie: {COOKIE}"))
        .add("Authorization: Bearer 0123456789abcdef")
        .add("proxy-authorization: Basic 0123456789abcdef")
        .add("X-Other: shown");
    client.send(request.bytes());
    client.expect_upgrade();
    let json = read_text(&mut client);
    client.finish();
    json
}

#[test]
fn edge_r_headers_mask_what_lets_a_user_in() {
    let json = headers(&Binary::serve(&[]));
    assert!(!json.contains("0123456789abcdef"), "{json}");
    for part in [
        r#"["cOOkie","(masked, 24 bytes)"]"#,
        r#"["Authorization","(masked, 23 bytes)"]"#,
        r#"["proxy-authorization","(masked, 22 bytes)"]"#,
        r#"["X-Other","shown"]"#,
        r#""query":"token=mine""#,
    ] {
        assert!(json.contains(part), "{part} in {json}");
    }
}

#[test]
fn edge_r_unless_an_option_shows_them() {
    let json = headers(&Binary::serve(&["--show-credentials"]));
    assert!(json.contains(&format!(r#"["cOOkie","{COOKIE}"]"#)), "{json}");
    assert_eq!(json.matches("0123456789abcdef").count(), 3, "{json}");
}

/// Neither in the log, whatever comes of the connection.
#[cfg(unix)]
#[test]
fn edge_r_the_log_has_no_credentials_and_no_query() {
    let binary = Binary::serve(&[]);
    headers(&binary);
    let mut refused = RawClient::connect(binary.addr);
    let request = r0().target("/close/99?token=mine").add(format!("Cookie: {COOKIE}"));
    refused.send(request.bytes());
    refused.expect_refusal(404);
    get(&binary, "/nothing?token=mine");
    let lines = binary.stop();
    assert!(
        lines.iter().all(|line| !line.contains("token") && !line.contains("0123")),
        "{lines:?}"
    );
}

#[test]
fn edge_af_the_first_subprotocol_is_agreed_to_on_every_path() {
    let binary = Binary::serve(&["--faults"]);
    for target in [
        "/",
        "/echo",
        "/CP001",
        "/ocpp/CP001",
        "/broadcast/a",
        "/close/1000?after=1",
        "/delay/1",
        "/jitter/1",
        "/fragment/1",
        "/ping/60",
        "/count/0",
        "/flood/1",
        "/headers",
        "/subprotocol",
        "/drop/1",
        "/reset/1",
        "/stall",
        "/invalid/utf8",
    ] {
        let (_, response) = offer(&binary, target, "mqtt, ocpp1.6");
        assert_eq!(response.header("sec-websocket-protocol"), Some("mqtt"), "{target}");
    }
    // Who offers none gets none.
    let mut client = RawClient::connect(binary.addr);
    client.send(r0().bytes());
    assert_eq!(client.expect_upgrade().header("sec-websocket-protocol"), None);
}

#[test]
fn edge_af_options_and_the_query_decide() {
    let listed = ["--subprotocol", "graphql-ws", "--subprotocol=mqtt"];
    for (args, target, agreed) in [
        (&[][..], "/", Some("mqtt")),
        (&[], "/echo?subprotocol=graphql-ws", Some("graphql-ws")),
        (&[], "/?subprotocol=none", None),
        (&["--subprotocol", "none"], "/", None),
        (&["--subprotocol", "none"], "/subprotocol", Some("mqtt")),
        (&["--subprotocol", "none"], "/?x&subprotocol=graphql-ws", Some("graphql-ws")),
        // The client's order counts.
        (&listed, "/", Some("mqtt")),
        (&["--subprotocol", "graphql-ws"], "/", Some("graphql-ws")),
        (&["--subprotocol", "wamp"], "/", None),
    ] {
        let binary = Binary::serve(args);
        let (mut client, response) = offer(&binary, target, "mqtt, graphql-ws");
        assert_eq!(response.header("sec-websocket-protocol"), agreed, "{args:?} {target}");
        client.finish();
    }
}

#[test]
fn edge_af_what_was_not_offered_is_refused_with_a_line() {
    let binary = Binary::serve(&[]);
    for (target, right) in [
        ("/?subprotocol=wamp", "does not offer the subprotocol wamp"),
        ("/stall?subprotocol=", "or none"),
        ("/?subprotocol=a%20b", "or none"),
        ("/?subprotocol=mqtt&subprotocol=none", "more than once"),
    ] {
        let mut client = RawClient::connect(binary.addr);
        client.send(r0().target(target).add("Sec-WebSocket-Protocol: mqtt").bytes());
        let body = String::from_utf8(client.expect_refusal(400).body).unwrap();
        assert!(body.contains(right), "{target}: {body}");
    }
}

#[cfg(unix)]
#[test]
fn edge_af_headers_and_the_log_tell_what_was_agreed() {
    let binary = Binary::serve(&[]);
    let (mut client, _) = offer(&binary, "/headers", "mqtt, secret-token");
    let json = read_text(&mut client);
    assert!(json.contains(r#""subprotocol":"mqtt""#), "{json}");
    client.finish();
    drop(client);
    let mut client = open(&binary, "/headers");
    let json = read_text(&mut client);
    assert!(json.contains(r#""subprotocol":null"#), "{json}");
    client.finish();
    drop(client);
    offer(&binary, "/ws?subprotocol=none", "mqtt, secret-token");
    let lines = binary.stop();
    let none = "/ws open with none of 2 subprotocols";
    assert!(lines.iter().any(|line| line.ends_with(none)), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("/headers open as mqtt")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("/headers as mqtt: ")), "{lines:?}");
    // Some clients offer a token beside the name.
    assert!(lines.iter().all(|line| !line.contains("secret-token")), "{lines:?}");
}

#[test]
fn edge_af_values_are_checked_at_start() {
    for (args, right) in [
        (&["--subprotocol", "a b"][..], "--subprotocol: \"a b\" is not a subprotocol's name"),
        (&["--subprotocol=none", "--subprotocol=a"], "none goes with no other"),
    ] {
        let output = crate::common::command(args).output().expect("run");
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert!(stderr.contains(right) && stderr.lines().count() == 1, "{stderr}");
    }
    let mut program = crate::common::command(&["127.0.0.1:0"]);
    program.env("BAREWS_SUBPROTOCOL", "wamp mqtt");
    let mut binary = Binary::start(&mut program);
    binary.addr = binary.address().parse().expect("an address");
    let (_, response) = offer(&binary, "/", "graphql-ws, mqtt");
    assert_eq!(response.header("sec-websocket-protocol"), Some("mqtt"));
}

/// The JSON is let go of once it is sent. The request is as large as may be, with quotes that take
/// two bytes each.
#[cfg(target_os = "linux")]
#[test]
fn edge_m_headers_keep_nothing_behind_them() {
    let binary = Binary::serve(&["--max-header-line", "32K"]);
    let request = r0().target("/headers").add(format!("X: {}", "\"".repeat(30_000))).bytes();
    let mut clients: Vec<RawClient> = Vec::new();
    let mut idle = |count: usize| {
        for _ in 0..count {
            let mut client = RawClient::connect(binary.addr);
            client.send(&request);
            client.expect_upgrade();
            assert!(read_text(&mut client).len() > 60_000);
            // An echo tells that what came before is over.
            client.send(frame(TEXT, "a"));
            client.expect(&Frame::text("a"));
            clients.push(client);
        }
        binary.memory()
    };
    let few = idle(20);
    let many = idle(60);
    let each = many.saturating_sub(few) / 60;
    // Its head is kept, of 30 KiB, and its thread.
    assert!(each < 75 << 10, "{each} bytes each");
}

#[test]
fn edge_l_a_stalled_connection_ends_when_its_peer_has_gone() {
    for idle in ["off", "60s"] {
        let binary = Binary::serve(&["--ping-after", "50ms", "--idle-timeout", idle]);
        let mut gone = open(&binary, "/stall");
        gone.send(frame(TEXT, "unheard"));
        // It is there as long as it receives.
        let ping = gone.read_frame().expect("a Ping");
        assert_eq!(ping, Frame::new(PING, ""));
        let start = Instant::now();
        drop(gone);
        metrics_at_rest(&binary);
        assert!(start.elapsed() < Duration::from_secs(5), "{idle}: {:?}", start.elapsed());
    }
}

/// The end of its own side alone is not the end of a peer.
#[test]
fn edge_l_a_half_closed_peer_is_still_there() {
    let binary = Binary::serve(&["--ping-after", "20ms", "--idle-timeout", "off"]);
    let mut client = open(&binary, "/stall");
    client.send_eof();
    for _ in 0..5 {
        assert_eq!(client.read_frame().expect("a Ping"), Frame::new(PING, ""));
    }
}

#[cfg(unix)]
#[test]
fn edge_l_a_stalled_connection_hears_of_a_shutdown() {
    let binary = Binary::serve(&["--ping-after", "off", "--idle-timeout", "off"]);
    let mut client = open(&binary, "/stall");
    client.send(frame(TEXT, "unheard"));
    let start = Instant::now();
    binary.signal("TERM");
    client.expect(&Frame::close(1001, "the server is shutting down"));
    client.send(close(1001, ""));
    client.expect_eof();
    drop(client);
    let (status, lines) = binary.wait();
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let end = "closed 1001 \"the server is shutting down\", answered 1001 \"\"";
    assert!(lines.iter().any(|line| line.ends_with(end)), "{lines:?}");
}

#[test]
fn edge_v_plain_requests_of_websocket_paths_are_told_to_upgrade() {
    let binary = Binary::serve(&[]);
    for (target, line) in [
        ("/echo", "this path is for WebSocket: connect with a WebSocket client"),
        ("/ws", "WebSocket client"),
        ("/stall?x=1", "WebSocket client"),
        ("/broadcast/a", "WebSocket client"),
    ] {
        let response = get(&binary, target);
        assert_eq!(response.status, 426, "{target}");
        assert_eq!(response.header("upgrade"), Some("websocket"));
        let body = String::from_utf8(response.body).unwrap();
        assert!(body.contains(line), "{target}: {body}");
    }
    for target in ["/favicon.ico", "/any", "/robots.txt", "/healthz/x", "/metricsx", "/ECHO"] {
        let response = get(&binary, target);
        assert_eq!(response.status, 404, "{target}");
        assert!(response.body.ends_with(b"but one at /\n"), "{response:?}");
    }
    // Over WebSocket they echo all the same.
    open(&binary, "/favicon.ico").finish();
}

#[test]
fn edge_v_other_methods() {
    let binary = Binary::serve(&[]);
    for (line, status) in [
        ("HEAD /echo HTTP/1.1", 426),
        ("HEAD /favicon.ico HTTP/1.1", 404),
        ("HEAD / HTTP/1.1", 200),
    ] {
        let mut client = RawClient::connect(binary.addr);
        client.send(crate::common::Request::new(line).add("Host: a").bytes());
        let text = String::from_utf8(client.read_rest()).expect("text");
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {text}");
        assert!(text.ends_with("\r\n\r\n") && !text.contains("Length: 0\r\n"), "{line}: {text}");
    }
    for (line, status) in [
        ("POST /echo HTTP/1.1", 405),
        ("DELETE /healthz HTTP/1.1", 405),
        ("OPTIONS /metrics HTTP/1.1", 405),
        ("POST /favicon.ico HTTP/1.1", 404),
    ] {
        let response = request(&binary, line);
        assert_eq!(response.status, status, "{line}");
        let allow = (status == 405).then_some("GET, HEAD");
        assert_eq!(response.header("allow"), allow, "{line}");
    }
}

/// What a line says of a request, and that it says no more than so much.
#[cfg(unix)]
#[test]
fn edge_ac_a_refused_request_is_told() {
    let binary = Binary::serve(&["--origin", "https://good.example"]);
    let mut refused = RawClient::connect(binary.addr);
    let request = r0()
        .target(&format!("/{}", "x".repeat(5000)))
        .add("Origin: https://bad.example")
        .add(b"User-Agent: \xc2\x9b31mred \xe2\x80\xaeback".as_slice());
    refused.send(request.bytes());
    refused.expect_refusal(403);
    let mut wrong = RawClient::connect(binary.addr);
    wrong.send(r0().target("/close/99").add("User-Agent: curl/8").bytes());
    wrong.expect_refusal(404);
    // The head itself is wrong, or does not come.
    let mut broken = RawClient::connect(binary.addr);
    broken.send("GET /a?token=7 HTTP/1.1\r\nUser-Agent: curl/8\r\nHost: a\r\nwrong\r\n\r\n");
    broken.expect_refusal(400);
    let mut cut = RawClient::connect(binary.addr);
    cut.send("GET /b HTTP/1.1\r\nUser-Agent: cur");
    cut.send_eof();
    cut.expect_eof();
    let (first, second) = (refused.addr, wrong.addr);
    let (third, fourth) = (broken.addr, cut.addr);
    drop((refused, wrong, broken, cut));
    let lines = binary.stop();
    let line = lines.iter().find(|line| line.contains(&first.to_string())).expect("a line");
    let start = format!("barews: {first} GET /{}… refused: ", "x".repeat(199));
    assert!(line.starts_with(&start), "{line}");
    let end = r#", origin "https://bad.example", agent "\u{9b}31mred \u{202e}back""#;
    assert!(line.ends_with(end), "{line}");
    let line = lines.iter().find(|line| line.contains(&second.to_string())).expect("a line");
    let told =
        "GET /close/99 refused: /close/99: code is a number from 1000 to 4999, agent \"curl/8\"";
    assert!(line.ends_with(told), "{line}");
    for (addr, told) in [
        (third, "GET /a refused: a header line has no colon, agent \"curl/8\""),
        (fourth, "GET /b refused: unexpected end of file"),
    ] {
        assert!(lines.contains(&format!("barews: {addr} {told}")), "{lines:?}");
    }
}

#[cfg(unix)]
#[test]
fn edge_ac_json_lines_tell_both_sides() {
    let mut binary = Binary::start(&mut crate::common::command(&["--log=json", "127.0.0.1:0"]));
    let line = binary.line();
    let (_, addr) = line.split_once(r#""address":""#).expect(&line);
    let (addr, _) = addr.split_once('"').expect(&line);
    binary.addr = addr.parse().expect("an address");
    let mut client = RawClient::connect(binary.addr);
    let request = r0().target("/close/4001?reason=enough").add("Origin: http://a");
    client.send(request.add("User-Agent: b").bytes());
    client.expect_upgrade();
    client.expect(&Frame::close(4001, "enough"));
    client.send(close(4002, "\u{85}\u{202e}\u{2028}"));
    client.expect_eof();
    drop(client);
    let line = binary.line_with(r#""event":"open""#);
    let told = r#""method":"GET","path":"/close/4001","origin":"http://a","user_agent":"b""#;
    assert!(line.contains(told), "{line}");
    let line = binary.line_with(r#""event":"connection""#);
    let told = r#""sent_code":4001,"sent_reason":"enough","received_code":4002,"received_reason":"\u0085\u202e\u2028","close_code":4001,"close_reason":"enough","error":null"#;
    assert!(line.contains(told), "{line}");
    // The peer's own is answered with the same.
    let mut client = open(&binary, "/");
    client.send(close(1000, "bye"));
    client.expect_close(1000);
    drop(client);
    let line = binary.line_with(r#""event":"connection""#);
    let told =
        r#""sent_code":1000,"sent_reason":"bye","received_code":1000,"received_reason":"bye""#;
    assert!(line.contains(told), "{line}");
    // What an error calls for has its reason too.
    let mut client = open(&binary, "/");
    client.send(frame(TEXT, b"\xff"));
    let reason = client.expect_close(1007);
    drop(client);
    let line = binary.line_with(r#""event":"connection""#);
    let told = format!(r#""sent_code":1007,"sent_reason":"{reason}","received_code":null"#);
    assert!(line.contains(&told), "{line}");
}

/// Why the server closed is told, though the peer has left without an answer.
#[cfg(unix)]
#[test]
fn edge_ac_the_servers_own_reason_is_not_lost() {
    let binary = Binary::serve(&[]);
    let mut client = open(&binary, "/delay/60000");
    client.send([frame(TEXT, "x").repeat(1000), frame(TEXT, "")].concat());
    client.expect(&Frame::close(1013, "too many messages wait"));
    drop(client);
    metrics_at_rest(&binary);
    let lines = binary.stop();
    let line = lines.iter().find(|line| line.contains("/delay/60000: ")).expect("a line");
    assert!(line.contains(", closed 1013 \"too many messages wait\", then: "), "{line}");
}

#[test]
fn edge_ac_probes_and_pages_are_no_refusals() {
    let binary = Binary::serve(&[]);
    drop(RawClient::connect(binary.addr));
    let mut reset = RawClient::connect(binary.addr);
    reset.send("");
    reset.reset();
    get(&binary, "/favicon.ico");
    get(&binary, "/echo");
    get(&binary, "/healthz");
    let text = metrics_once(&binary, |text| metric(text, "barews_probes_total") == 2.0);
    assert_eq!(metric(&text, "barews_accept_failures_total"), 0.0);
    for (code, count) in [("404", 1.0), ("426", 1.0)] {
        let name = format!("barews_http_requests_total{{code=\"{code}\"}}");
        assert_eq!(metric(&text, &name), count, "{text}");
    }
    assert!(metric(&text, "barews_http_requests_total{code=\"200\"}") >= 1.0);
    let mut refused = text.lines().filter(|line| line.starts_with("barews_refused_total{"));
    assert!(refused.all(|line| line.ends_with(" 0")), "{text}");
    #[cfg(unix)]
    {
        let lines = binary.stop();
        let about: Vec<_> = lines.iter().filter(|line| !line.contains("shutting down")).collect();
        let [page, path] = &*about else { panic!("{lines:?}") };
        assert!(page.ends_with("GET /favicon.ico answered 404 Not Found"), "{page}");
        assert!(path.ends_with("GET /echo answered 426 Upgrade Required"), "{path}");
    }
}

#[cfg(unix)]
#[test]
fn edge_ac_messages_are_logged_if_asked_for() {
    let binary = Binary::serve(&["--log-messages"]);
    let mut client = open(&binary, "/echo");
    let long = "y".repeat(1000);
    client
        .send([frame(TEXT, "one\u{9b}"), frame(BINARY, b"\x00\xff"), frame(TEXT, &long)].concat());
    client.expect(&Frame::text("one\u{9b}"));
    client.expect(&Frame::binary(b"\x00\xff"));
    client.expect(&Frame::text(&long));
    client.finish();
    drop(client);
    let mut client = open(&binary, "/count/1");
    client.expect(&Frame::text("1"));
    client.expect(&Frame::close(1000, ""));
    client.send([frame(TEXT, "ignored"), close(1000, "")].concat());
    client.expect_eof();
    let addr = client.addr;
    drop(client);
    let lines = binary.stop();
    let ends = |path: &str| -> Vec<String> {
        let start = format!(" {path} ");
        let ends = lines.iter().filter_map(|line| line.split_once(&start));
        ends.map(|(_, end)| end.to_owned()).filter(|end| end.contains(" bytes: ")).collect()
    };
    let shown = format!("1000 bytes: \"{}\"…", "y".repeat(64));
    for end in [
        r#"in: text, 5 bytes: "one\u{9b}""#,
        r#"out: text, 5 bytes: "one\u{9b}""#,
        "in: binary, 2 bytes: 00ff",
        "out: binary, 2 bytes: 00ff",
        &format!("in: text, {shown}"),
        &format!("out: text, {shown}"),
    ] {
        assert!(ends("/echo").iter().any(|line| line == end), "{end} in {lines:?}");
    }
    let start = format!("barews: {addr} /count/1 in: text, 7 bytes: \"ignored\"");
    assert!(lines.contains(&start), "{lines:?}");
    assert!(ends("/count/1").contains(&"out: text, 1 bytes: \"1\"".to_owned()), "{lines:?}");
}

/// Without the option there is no line for a message.
#[cfg(unix)]
#[test]
fn edge_ac_and_not_otherwise() {
    let binary = Binary::serve(&[]);
    let mut client = open(&binary, "/echo");
    client.send(frame(TEXT, "private"));
    client.expect(&Frame::text("private"));
    client.finish();
    let addr = client.addr.to_string();
    drop(client);
    metrics_at_rest(&binary);
    let lines = binary.stop();
    let about: Vec<_> = lines.iter().filter(|line| line.contains(&addr)).collect();
    assert_eq!(about.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("private")), "{lines:?}");
    assert_eq!(*about[0], format!("barews: {addr} /echo open"));
}
