use super::*;

fn parsed(target: &str) -> Result<Route, Wrong> {
    match target.split_once('?') {
        Some((path, query)) => Route::parse(path, Some(query)),
        None => Route::parse(target, None),
    }
}

#[test]
fn every_path() {
    let ms = Duration::from_millis;
    let close = |code, reason: &str, after| {
        let (code, reason) = (CloseCode(code), reason.into());
        Ok(Route::Close { code, reason, after, delay: None, reply: true })
    };
    let count = |n, every| Ok(Route::Count { n, every: ms(every) });
    let room = |name: &str| Ok(Route::Broadcast(name.into()));
    for (target, route) in [
        ("/", Ok(Route::Echo)),
        ("/echo", Ok(Route::Echo)),
        ("/ws?delay=1", Ok(Route::Echo)),
        ("/echo/more", Ok(Route::Echo)),
        ("/broadcast/a%20b", room("a b")),
        ("/broadcast/a%2Fb+c/", room("a/b+c")),
        ("/broadcast/%c3%bc", room("ü")),
        ("/broadcast/%C3%BC", room("ü")),
        ("/bro%61dcast/%C3%BC", room("ü")),
        ("/close/1000", close(1000, "", None)),
        ("/close/1000/", close(1000, "", None)),
        ("/close/%31000", close(1000, "", None)),
        ("/close/4999?after=3&reason=b%C3%BCe+bye", close(4999, "büe bye", Some(3))),
        ("/close/1001?x&y=1&reason=", close(1001, "", None)),
        (
            "/close/1000?delay=60000&reply=none",
            Ok(Route::Close {
                code: CloseCode(1000),
                reason: String::new(),
                after: None,
                delay: Some(ms(60_000)),
                reply: false,
            }),
        ),
        ("/slow/16777216", Ok(Route::Slow(16 << 20))),
        ("/tick/1", Ok(Route::Tick(ms(1)))),
        ("/tick/3600000", Ok(Route::Tick(ms(3_600_000)))),
        ("/handshake/slow", Ok(Route::Handshake(HandshakeFault::Slow, ms(1000)))),
        ("/handshake/no-accept?every=5", Ok(Route::Handshake(HandshakeFault::NoAccept, ms(5)))),
        ("/delay/0", Ok(Route::Delay(ms(0)))),
        ("/jitter/60000", Ok(Route::Jitter(ms(60_000)))),
        ("/fragment/1", Ok(Route::Fragment(1))),
        ("/ping/0.5", Ok(Route::Ping(ms(500)))),
        ("/count/10", count(10, 0)),
        ("/count/1?every=60000", count(1, 60_000)),
        ("/flood/0", Ok(Route::Flood(0))),
        ("/headers", Ok(Route::Headers)),
        ("/subprotocol", Ok(Route::Subprotocol)),
        ("/drop/0", Ok(Route::Drop(0))),
        ("/reset/18446744073709551615", Ok(Route::Reset(u64::MAX))),
        ("/stall", Ok(Route::Stall)),
        ("/invalid/rsv", Ok(Route::Invalid(b"\xc1\x05Hello"))),
    ] {
        assert_eq!(parsed(target), route, "{target}");
    }
}

#[test]
fn what_is_wrong_is_told() {
    for (target, status, wrong) in [
        ("/broadcast/", 404, "/broadcast/{room} needs a room"),
        ("/broadcast/a/b", 404, "/broadcast/{room} needs a room; a slash in it is %2F"),
        ("/broadcast/%ff", 404, "/broadcast: there is something in it that is not UTF-8"),
        ("/broadcast/%f", 404, "/broadcast: there is something in it that is not UTF-8"),
        ("/close", 404, "/close: code is a number from 1000 to 4999"),
        ("/close/", 404, "/close/: code is a number from 1000 to 4999"),
        ("/close/1000/1", 404, "/close/1000/1: code is a number from 1000 to 4999"),
        ("/close/1006", 404, "/close/1006: close code 1006 must not be sent"),
        ("/close/1000?after=x", 400, "/close: after is a number from 0 to 18446744073709551615"),
        ("/close/1000?delay=60001", 400, "/close: delay is a number from 0 to 60000"),
        ("/close/1000?reply=yes", 400, "/close: reply is none"),
        ("/close/1000?reason=%ff", 400, "/close: the reason is not UTF-8"),
        ("/close/1000?reason=%f", 400, "/close: the reason is not UTF-8"),
        ("/delay/60001", 404, "/delay/60001: ms is a number from 0 to 60000"),
        ("/delay/-1", 404, "/delay/-1: ms is a number"),
        ("/jitter/+1", 404, "/jitter/+1: max ms is a number"),
        ("/fragment/0", 404, "/fragment/0: bytes is a number from 1 to 16777216"),
        ("/slow/0", 404, "/slow/0: bytes per second is a number from 1 to 16777216"),
        ("/flood/x", 404, "/flood/x: bytes is a number"),
        ("/tick/0", 404, "/tick/0: ms is a number from 1 to 3600000"),
        ("/tick/3600001", 404, "/tick/3600001: ms is a number from 1 to 3600000"),
        ("/count/18446744073709551616", 404, "/count/18446744073709551616: n is a number from 0"),
        ("/count/1?every=60001", 400, "/count: every is a number from 0 to 60000"),
        ("/ping/0", 404, "/ping/0: seconds is a number from 0.01 to 3600"),
        ("/ping/inf", 404, "/ping/inf: seconds is a number"),
        ("/ping/1e1", 404, "/ping/1e1: seconds is a number"),
        ("/headers/more", 404, "/headers/more: nothing goes behind /headers"),
        ("/limits?message=x", 400, "/limits: message is a size"),
        ("/limits?fragments=0", 400, "/limits: fragments is a number from 1 to 4294967295"),
        ("/limits?idle=0s", 400, "/limits: idle is a time above zero"),
        ("/status", 404, "/status: code is a number from 200 to 599"),
        ("/status/101", 404, "/status/101: code is a number from 200 to 599"),
        ("/status/200?header=x", 400, "/status: a header is Name:value"),
        ("/auth/basic/a%3Ab/c", 404, "/auth/basic/{user}/{password}: a user without a colon"),
        ("/auth/digest", 404, "/auth/{scheme}: basic, bearer, query or cookie"),
        ("/auth/cookie/a/b%20c", 404, "/auth/cookie/{name}/{value}: as RFC 6265"),
        ("/handshake/x", 404, "/handshake/{kind}: kind is one of wrong-accept, no-accept"),
        ("/handshake/slow?every=x", 400, "/handshake: every is a number from 0 to 60000"),
        ("/invalid/", 404, "/invalid/{kind}: kind is utf8"),
        ("/invalid/UTF8", 404, "/invalid/{kind}: kind is utf8"),
    ] {
        let error = parsed(target).expect_err(target);
        assert!(error.line.starts_with(wrong), "{target}: {error:?}");
        assert_eq!(error.status.code(), status, "{target}");
    }
    let long = format!("/close/1000?reason={}", "x".repeat(124));
    assert_eq!(parsed(&long).unwrap_err().line, "/close: a reason has at most 123 bytes");
}

#[test]
fn a_near_miss_is_told_what_was_meant() {
    for (path, hint) in [
        ("/Close/1000", "there is no path /Close/1000: did you mean /close/1000?"),
        ("/CLOSE/1000/", "there is no path /CLOSE/1000/: did you mean /close/1000?"),
        ("/jiter/10", "there is no path /jiter/10: did you mean /jitter/10?"),
        ("/clsoe/1000", "there is no path /clsoe/1000: did you mean /close/1000?"),
        ("/Dealy/5", "there is no path /Dealy/5: did you mean /delay/5?"),
        ("/haeders", "there is no path /haeders: did you mean /headers?"),
        ("/Close/x", "/Close/x: code is a number from 1000 to 4999"),
        ("/Auth/basic/joe/secret", "there is no path /Auth/...: did you mean /auth/...?"),
    ] {
        assert_eq!(Route::parse(path, Some("x=1")), Err(Wrong::path(hint)), "{path}");
    }
}

/// What applications serve under is theirs.
#[test]
fn paths_of_others_echo() {
    let paths = "\
        / // /ws /WS /wss /ws/ /ws/room /websocket /websockets/1 /socket /socket.io/
        /sockjs/websocket /signalr/connect /cable /chat /chat/1 /chat/%ff /rooms/1 /room/a%2Fb
        /api/ws /api/v1/stream /v1/stream /stream /graphql /graphql/ /subscriptions /ocpp/CP001
        /CP001 /mqtt /wamp /live /live/websocket /events /notifications /feed /relay /stats
        /flow /oauth /tickets/1 /ticker/BTC-USD /game /games/1 /lobby /ECHO /echos /echo/1
        /any/close/1000 /%ff /% /counter /pong /drops /slots/1 /login /index.html /favicon.ico
        /a /terminal/1 /ttyd/ws /jupyter/x /relay/42 /show/42 /floor/3 /mount/1 /court/7 /preset/1
        /broadcasts/123 /slot/7 /flow/7 /stale /small /pong/1 /oauth/bearer/x /blow/3 /prop/2
        /rest/1 /Rest/2 /header /limit /county/5 /resent/1 /closed/1000";
    for path in paths.split_whitespace() {
        assert_eq!(Route::parse(path, None), Ok(Route::Echo), "{path}");
    }
}

/// The name that a route has in the table; a new one does not compile without.
fn name(route: &Route) -> &'static str {
    match route {
        Route::Echo => "/echo",
        Route::Broadcast(_) => "/broadcast",
        Route::Close { .. } => "/close",
        Route::Delay(_) => "/delay",
        Route::Jitter(_) => "/jitter",
        Route::Fragment(_) => "/fragment",
        Route::Slow(_) => "/slow",
        Route::Limits(_) => "/limits",
        Route::Ping(_) => "/ping",
        Route::Count { .. } => "/count",
        Route::Tick(_) => "/tick",
        Route::Flood(_) => "/flood",
        Route::Status(_) => "/status",
        Route::Auth(_) => "/auth",
        Route::Headers => "/headers",
        Route::Subprotocol => "/subprotocol",
        Route::Drop(_) => "/drop",
        Route::Reset(_) => "/reset",
        Route::Stall => "/stall",
        Route::Handshake(..) => "/handshake",
        Route::Invalid(_) => "/invalid",
    }
}

/// Each example asks for the path of its row, and all routes have one.
#[test]
fn the_table_has_every_path() {
    let mut seen = Vec::new();
    for path in paths().filter(|path| path.group != Group::Http) {
        let url = path
            .example
            .split([' ', '\''])
            .find_map(|word| word.strip_prefix("ws://127.0.0.1:9001"));
        let route = parsed(url.expect(path.example)).expect(path.example);
        assert!(path.path.starts_with(name(&route)), "{}", path.path);
        assert_eq!(
            path.group == Group::Fault,
            path.path.starts_with("/invalid") || path.path.starts_with("/handshake")
        );
        seen.push(name(&route));
    }
    for name in near::NAMES.iter().filter(|name| **name != "ws") {
        assert!(seen.contains(&&*format!("/{name}")), "{name}");
    }
    assert!(seen.iter().all(|name| near::NAMES.contains(&&name[1..])), "{seen:?}");
    for fault in HandshakeFault::ALL {
        assert_eq!(HandshakeFault::parse(fault.name()), Some(fault));
        let told = paths().find(|path| path.path.starts_with("/handshake")).unwrap().bounds;
        assert!(told.contains(fault.name()), "{fault:?}");
    }
}

#[test]
fn edge_v_which_paths_are_known() {
    for path in ["/echo", "/ws", "/close", "/close/99", "/stall", "/invalid/x", "/ws/a"] {
        assert!(Route::is_known(path), "{path}");
    }
    for path in ["//", "/favicon.ico", "/any", "/any other", "/closed/1000", "/robots.txt", "/ECHO"]
    {
        assert!(!Route::is_known(path), "{path}");
    }
}

#[test]
fn edge_m_a_room_has_a_name_of_some_length() {
    let room = |len| Route::parse(&format!("/broadcast/{}", "x".repeat(len)), None);
    assert!(matches!(room(255), Ok(Route::Broadcast(_))));
    assert!(room(256).unwrap_err().line.ends_with("at most 255 bytes"));
}
