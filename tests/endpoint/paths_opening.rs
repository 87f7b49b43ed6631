//! Paths that are about the handshake: `/status`, `/auth`, `/limits`, and what paths are at all.

use std::time::Instant;

use crate::common::client::Response;
use crate::common::{Binary, CONT, Frame, PING, RawClient, Request, TEXT, close, frame, ms, r0};
use crate::paths::open;
use crate::plain::{get, metric, metrics_at_rest, metrics_once, request};

/// All that is answered to a request, with the date taken out.
fn answer(binary: &Binary, request: &Request) -> String {
    let mut client = RawClient::connect(binary.addr);
    client.send(request.bytes());
    let text = String::from_utf8(client.read_all()).expect("text");
    let (before, rest) = text.split_once("Date: ").expect("a date");
    let (_, after) = rest.split_once("\r\n").expect("its end");
    format!("{before}{after}")
}

fn refusal(binary: &Binary, request: &Request, status: u16) -> Response {
    let mut client = RawClient::connect(binary.addr);
    client.send(request.bytes());
    client.expect_refusal(status)
}

/// Opens a WebSocket, and sees an echo.
fn expect_echo(binary: &Binary, request: &Request) {
    let mut client = RawClient::connect(binary.addr);
    client.send(request.bytes());
    client.expect_upgrade();
    client.send(frame(TEXT, "let in"));
    client.expect(&Frame::text("let in"));
    client.finish();
}

const SANDBOX: &str = "Content-Type: text/plain; charset=utf-8\r\n\
    Content-Security-Policy: sandbox; default-src 'none'\r\n\
    X-Content-Type-Options: nosniff\r\n";

#[test]
fn a_status_is_answered_byte_for_byte() {
    let binary = Binary::serve(&[]);
    for (target, line, headers, body) in [
        ("/status/200", "200 OK", "", "200 OK\n"),
        ("/status/200/?body=a+b%21%0A", "200 OK", "", "a b!\n"),
        ("/%73tatus/200?body=", "200 OK", "", ""),
        (
            "/status/401",
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"barews\"\r\n",
            "401 Unauthorized\n",
        ),
        (
            "/status/401?header=www-authenticate:Bearer",
            "401 Unauthorized",
            "www-authenticate: Bearer\r\n",
            "401 Unauthorized\n",
        ),
        ("/status/302", "302 Found", "Location: /echo\r\n", "302 Found\n"),
        (
            "/status/308",
            "308 Permanent Redirect",
            "Location: /echo\r\n",
            "308 Permanent Redirect\n",
        ),
        ("/status/429", "429 Too Many Requests", "Retry-After: 1\r\n", "429 Too Many Requests\n"),
        (
            "/status/503?header=Retry-After%3A+120&header=X:%C3%BC&body=busy",
            "503 Service Unavailable",
            "Retry-After: 120\r\nX: ü\r\n",
            "busy",
        ),
        ("/status/599", "599 ", "", "599\n"),
    ] {
        let plain = Request::new(format!("GET {target} HTTP/1.1")).add("Host: a");
        let (socket, plain) = (answer(&binary, &r0().target(target)), answer(&binary, &plain));
        // It is the same for WebSocket and without.
        assert_eq!(socket, plain, "{target}");
        let len = body.len();
        let right = format!(
            "HTTP/1.1 {line}\r\nConnection: close\r\nContent-Length: {len}\r\n{SANDBOX}{headers}\r\n{body}"
        );
        assert_eq!(plain, right, "{target}");
    }
}

/// RFC 9110 §9.3.2, §15.3.5, §15.3.6, §15.4.5.
#[test]
fn some_answers_have_no_body() {
    let binary = Binary::serve(&[]);
    for (target, length) in [("204", ""), ("205", "Content-Length: 0\r\n"), ("304", "")] {
        let text = answer(&binary, &r0().target(&format!("/status/{target}?body=none")));
        let middle = format!("Connection: close\r\n{length}Content-Type");
        assert!(text.contains(&middle) && text.ends_with("\r\n\r\n"), "{text}");
    }
    let head = Request::new("HEAD /status/404?body=12345 HTTP/1.1").add("Host: a");
    let text = answer(&binary, &head);
    assert!(text.starts_with("HTTP/1.1 404 Not Found\r\n"), "{text}");
    assert!(text.contains("Content-Length: 5\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    let put = request(&binary, "PUT /status/200 HTTP/1.1");
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, HEAD")));
    // RFC 9110 §15.5.22: this one is an offer.
    let offer = get(&binary, "/status/426");
    assert_eq!((offer.status, offer.header("upgrade")), (426, Some("websocket")));
}

#[test]
fn a_status_has_its_bounds() {
    let binary = Binary::serve(&[
        "--max-request-line",
        "100K",
        "--max-header-line",
        "100K",
        "--max-head",
        "200K",
    ]);
    let headers = |n| format!("/status/200?{}", vec!["header=A:b"; n].join("&"));
    let body = |n| format!("/status/200?body={}", "x".repeat(n));
    for target in [headers(32), body(65_536)] {
        assert_eq!(get(&binary, &target).status, 200);
    }
    for target in
        [headers(33), body(65_537), "/status/200?body=%ff".into(), "/status/200?header=A".into()]
    {
        refusal(&binary, &r0().target(&target), 400);
    }
    for path in
        ["/status/199", "/status/600", "/status/101", "/status/2e2", "/status/", "/status/200/1"]
    {
        refusal(&binary, &r0().target(path), 404);
    }
}

/// Anyone may make a link to this.
#[test]
fn a_link_gets_no_visitor_into_trouble() {
    let binary = Binary::serve(&[]);
    let faults = Binary::serve(&["--faults"]);
    for header in [
        "Set-Cookie:a=b",
        "clear-site-data:*",
        "Strict-Transport-Security:max-age=0",
        "Alt-Svc:h3=%22:1%22",
        "Service-Worker-Allowed:/",
        "Refresh:0;url=/",
        "Location://b.example/",
        "Location:/%5Cb.example/",
        "Location:/%09/b.example/",
        "Location:https://b.example/",
        "Location:https://localhost@b.example/",
    ] {
        let target = format!("/status/302?header={header}");
        let body = refusal(&binary, &r0().target(&target), 403).body;
        assert!(String::from_utf8(body).unwrap().contains("--faults"), "{header}");
        assert_eq!(get(&binary, &target).status, 403, "{header}");
        assert_eq!(get(&faults, &target).status, 302, "{header}");
    }
    for here in ["/", "http://a/x", "wss://a"] {
        let response = get(&binary, &format!("/status/307?header=Location:{here}"));
        assert_eq!((response.status, response.header("location")), (307, Some(here)));
    }
    for header in [
        "Content-Length:5",
        "transfer-encoding:chunked",
        "Connection:keep-alive",
        "Upgrade:x",
        "Sec-WebSocket-Accept:x",
        "Date:now",
        "Content-Type:text/html",
        "Content-Security-Policy:x",
        "X-Accel-Redirect:/secret",
        "X-Sendfile:/etc/passwd",
        "A:b%0D%0AC:d",
        "A:b%0A",
        "A%0D%0AB:c",
        "A:%00",
        "A%20B:c",
        "%C3%BC:a",
    ] {
        let request = r0().target(&format!("/status/200?header={header}"));
        for binary in [&binary, &faults] {
            refusal(binary, &request, 400);
        }
    }
}

#[cfg(unix)]
#[test]
fn a_status_is_counted_and_logged_in_a_line() {
    let binary = Binary::serve(&[]);
    for (target, status) in [("/status/429?header=A:secret", 429), ("/status/503", 503)] {
        refusal_of_any_kind(&binary, target, status);
    }
    let text = metrics_once(&binary, |text| text.contains("answered_503"));
    for status in [429, 503] {
        let name = format!("barews_refused_total{{reason=\"answered_{status}\"}}");
        assert_eq!(metric(&text, &name), 1.0);
    }
    let lines = binary.stop();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("/status/")).collect();
    assert_eq!(told.len(), 2, "{lines:?}");
    assert!(told[0].ends_with("GET /status/429 refused: answered 429, as asked for"), "{told:?}");
    assert!(!lines.iter().any(|line| line.contains("secret")), "{lines:?}");
}

#[cfg(unix)]
fn refusal_of_any_kind(binary: &Binary, target: &str, status: u16) {
    let mut client = RawClient::connect(binary.addr);
    client.send(r0().target(target).bytes());
    assert_eq!(client.read_response().status, status);
    client.expect_eof();
}

/// For each scheme what lets in, what does not, and the challenge then.
#[test]
fn credentials_let_in() {
    let binary = Binary::serve(&[]);
    for (target, right, wrong, challenge) in [
        (
            "/auth/basic/joe/p%20w%3A",
            &["Authorization: Basic am9lOnAgdzo=", "authorization: bAsIc  am9lOnAgdzo="][..],
            &[
                "Authorization: Basic am9lOnAgdw==",
                "Authorization: Bearer am9lOnAgdzo=",
                "Authorization: Basic",
                "Cookie: a",
            ][..],
            "Basic realm=\"barews\"",
        ),
        (
            "/auth/bearer/t0.k-e_n~+%2F==/",
            &["Authorization: Bearer t0.k-e_n~+/==", "Authorization: bearer t0.k-e_n~+/=="],
            &["Authorization: Bearer t0.k-e_n~+/=", "Authorization: Bearer T0.k-e_n~+/=="],
            "Bearer realm=\"barews\", error=\"invalid_token\"",
        ),
        (
            "/auth/cookie/id/a=1",
            &["Cookie: x=y; id=a=1", "Cookie: id=\"a=1\""],
            &["Cookie: id=a", "Cookie: ID=a=1", "Cookie: id2=a=1"],
            "Cookie realm=\"barews\"",
        ),
    ] {
        for line in right {
            expect_echo(&binary, &r0().target(target).add(line));
        }
        for line in wrong {
            let refused = refusal(&binary, &r0().target(target).add(line), 401);
            assert_eq!(
                refused.header("www-authenticate").map(|c| c.split(',').next()),
                Some(challenge.split(',').next()),
                "{line}"
            );
        }
        let refused = refusal(&binary, &r0().target(target), 401);
        assert!(refused.body.starts_with(b"no credentials: this path wants "), "{refused:?}");
        assert!(!refused.header("www-authenticate").unwrap().contains("error"), "{refused:?}");
        // Plain HTTP is told the same, or to upgrade.
        assert_eq!(get(&binary, target).status, 401);
        let plain = Request::new(format!("GET {target} HTTP/1.1")).add("Host: a").add(right[0]);
        refusal(&binary, &plain, 426);
    }
}

/// An empty one is one, where its slash is not the last.
#[test]
fn a_password_may_be_empty() {
    let binary = Binary::serve(&[]);
    let request = r0().add("Authorization: Basic w7w6");
    expect_echo(&binary, &request.clone().target("/auth/basic/%C3%BC//"));
    refusal(&binary, &request.target("/auth/basic/%C3%BC/"), 404);
}

#[test]
fn a_token_in_the_query_lets_in() {
    let binary = Binary::serve(&[]);
    for target in
        ["/auth/query?token=x", "/auth/query/?a&token=%20", "/auth/query/a%26b?token=a%26b"]
    {
        expect_echo(&binary, &r0().target(target));
    }
    for target in
        ["/auth/query", "/auth/query?token=", "/auth/query/a?token=b", "/auth/query/a?token"]
    {
        let refused = refusal(&binary, &r0().target(target), 401);
        let body = String::from_utf8(refused.body.clone()).unwrap();
        assert!(body.contains("this path wants ?token="), "{body}");
        assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer "), "{refused:?}");
    }
    for target in
        ["/auth", "/auth/digest/a/b", "/auth/basic/a", "/auth/bearer/a%20b", "/auth/cookie/a/%22"]
    {
        refusal(&binary, &r0().target(target), 404);
    }
}

#[cfg(unix)]
#[test]
fn the_log_has_no_credentials_of_either_side() {
    for args in [&["--log-messages"][..], &["--log", "json"]] {
        let mut binary =
            Binary::start(&mut crate::common::command(&[args, &["127.0.0.1:0"]].concat()));
        let line = binary.line();
        let addr = line.split([' ', '"']).find(|word| word.starts_with("127.0.0.1:"));
        binary.addr = addr.expect(&line).parse().expect("an address");
        let right = r0().target("/auth/bearer/s3cret").add("Authorization: Bearer s3cret");
        expect_echo(&binary, &right);
        for target in [
            "/auth/basic/s3cret/s3cret",
            "/Auth/basic/s3cret/s3cret",
            "/auth/query/s3cret?token=s3cre",
        ] {
            let mut client = RawClient::connect(binary.addr);
            client.send(r0().target(target).add("Authorization: Basic s3cret").bytes());
            assert!([401, 404].contains(&client.read_response().status));
            client.expect_eof();
            drop(client);
            get(&binary, target);
        }
        let lines = binary.stop();
        assert!(lines.iter().any(|line| line.contains("/auth/basic/…")), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains("s3cre")), "{lines:?}");
    }
}

#[test]
fn limits_hold_for_one_connection() {
    let binary = Binary::serve(&["--max-message", "4K", "--max-fragments", "10"]);
    let mut client = open(&binary, "/limits?message=1K&fragments=2&x=y");
    client.send(frame(TEXT, "x".repeat(1024)));
    client.expect(&Frame::text("x".repeat(1024)));
    client.send([frame(TEXT & 0x7f, "a"), frame(CONT, "b")].concat());
    client.expect(&Frame::text("ab"));
    client.send(frame(TEXT, "x".repeat(1025)));
    client.expect_close(1009);
    let mut client = open(&binary, "/limits?fragments=2");
    client.send([frame(TEXT & 0x7f, "a"), frame(CONT & 0x7f, "b"), frame(CONT, "c")].concat());
    client.expect_close(1008);
    // Others have the server's.
    let mut client = open(&binary, "/limits?");
    client.send(frame(TEXT, "x".repeat(4096)));
    client.expect(&Frame::text("x".repeat(4096)));
    client.finish();
    for (query, right) in [
        ("message=4097", "/limits: message is 4096 at most, as for all here\n"),
        ("fragments=11", "/limits: fragments is 10 at most, as for all here\n"),
        ("idle=121s", "/limits: idle is 120s at most, as for all here\n"),
        ("idle=off", "/limits: idle is 120s at most, as for all here\n"),
        ("message=", "/limits: message is a size, such as 4096, 64K or 16M\n"),
        ("idle=0", "/limits: idle is a time above zero, such as 500ms, 1.5s or 2m\n"),
    ] {
        let target = format!("/limits?{query}");
        let refused = refusal(&binary, &r0().target(&target), 400);
        assert_eq!(str::from_utf8(&refused.body), Ok(right));
        let plain = get(&binary, &target);
        assert_eq!((plain.status, plain.body), (400, refused.body));
    }
}

/// With a Ping before it, where there would be one.
#[test]
fn silence_has_a_limit_of_its_own() {
    let binary = Binary::serve(&["--ping-after", "300ms", "--idle-timeout", "60s"]);
    for (idle, pings) in [("200ms", 0), ("900ms", 2)] {
        // Before the 101, from which the time counts.
        let start = Instant::now();
        let mut client = open(&binary, &format!("/limits?idle={idle}"));
        let mut last = client.read_frame().expect("a frame");
        let mut seen = 0;
        while last == Frame::new(PING, "") {
            seen += 1;
            last = client.read_frame().expect("a frame");
        }
        assert_eq!(last.opcode, 8, "{last:?}");
        assert!(
            start.elapsed() >= ms(200) && start.elapsed() < ms(10_000),
            "{:?}",
            start.elapsed()
        );
        assert!((seen == 0) == (pings == 0), "{seen} pings with {idle}");
        client.send(close(last.close_parts().0, ""));
        client.expect_eof();
    }
}

/// One room, however its name is written.
#[test]
fn paths_compare_percent_decoded() {
    let binary = Binary::serve(&[]);
    let names = ["%C3%BC%2F", "%c3%bc%2f", "%C3%bc%2F/"];
    let mut clients: Vec<_> =
        names.iter().map(|name| open(&binary, &format!("/broadcast/{name}"))).collect();
    for client in &mut clients {
        client.send(frame(TEXT, "here"));
        client.expect(&Frame::text("here"));
        // Whoever came before hears it too, and is told apart by nothing.
    }
    clients[2].send(frame(TEXT, "all"));
    for client in &mut clients {
        while client.read_frame().expect("a message").payload != b"all" {}
    }
    let mut client = open(&binary, "/%63ount/%33/");
    for n in ["1", "2", "3"] {
        client.expect(&Frame::text(n));
    }
    client.expect(&Frame::close(1000, ""));
    client.send(close(1000, ""));
    client.expect_eof();
    for target in ["/healthz/", "/health%7a", "/metrics/", "/paths.json/"] {
        assert_eq!(get(&binary, target).status, 200, "{target}");
    }
}

#[test]
fn the_table_is_served_as_json() {
    let binary = Binary::serve(&[]);
    let response = get(&binary, "/paths.json");
    assert_eq!(response.header("content-type"), Some("application/json"));
    let table: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    let rows = table.as_array().expect("an array");
    assert!(rows.len() > 25, "{table}");
    for row in rows {
        for field in ["path", "does", "bounds", "example", "output", "group"] {
            assert!(row[field].is_string(), "{field} in {row}");
        }
        assert!(row["path"].as_str().unwrap().starts_with('/'), "{row}");
        assert_eq!(row["faults"].as_bool(), Some(row["group"] == "fault"), "{row}");
    }
    metrics_at_rest(&binary);
}
