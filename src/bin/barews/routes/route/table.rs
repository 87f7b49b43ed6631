//! Every path in one table, from which the help, the manual, `/paths.json` and the page are made.
//!
//! A row says what a path does and how far its values go, with one command to try it and what that
//! prints. [`Route::parse`](super::Route::parse) holds requests to it, and tests hold both together.

/// A path as it is documented.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// As one writes it, values in braces.
    pub path: &'static str,
    /// In a few words, for a line of the help.
    pub does: &'static str,
    /// How far its values go, and what is beyond; empty where there are none.
    pub bounds: &'static str,
    /// A command for a shell.
    pub example: &'static str,
    /// What that prints; … stands for what differs.
    pub output: &'static str,
    pub group: Group,
}

/// What a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Answers what comes.
    Echo,
    /// Sends without being asked.
    Push,
    /// Ends, or stalls.
    End,
    /// Is about the opening handshake.
    Handshake,
    /// Breaks the protocol.
    Fault,
    /// Is for plain HTTP.
    Http,
}

impl Group {
    /// All of them, in the order of the help.
    pub const ALL: [Self; 6] =
        [Self::Echo, Self::Push, Self::End, Self::Handshake, Self::Fault, Self::Http];

    fn rows(self) -> &'static [Row] {
        match self {
            Self::Echo => ECHO,
            Self::Push => PUSH,
            Self::End => END,
            Self::Handshake => HANDSHAKE,
            Self::Fault => FAULT,
            Self::Http => HTTP,
        }
    }

    /// Its name in `/paths.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Push => "push",
            Self::End => "end",
            Self::Handshake => "handshake",
            Self::Fault => "fault",
            Self::Http => "http",
        }
    }

    /// Its heading in the help.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Echo => "Echoes",
            Self::Push => "Messages unasked",
            Self::End => "Ends",
            Self::Handshake => "The handshake",
            Self::Fault => "Faults, with --faults",
            Self::Http => "Plain HTTP",
        }
    }
}

/// A row without its group: the path, what it does, its bounds, a command, and what that prints.
type Row = [&'static str; 5];

/// All paths, in the order of the help.
pub fn paths() -> impl Iterator<Item = Path> {
    let rows =
        Group::ALL.into_iter().flat_map(|group| group.rows().iter().map(move |row| (group, row)));
    rows.map(|(group, [path, does, bounds, example, output])| Path {
        path,
        does,
        bounds,
        example,
        output,
        group,
    })
}

const ECHO: &[Row] = &[
    [
        "/echo",
        "what came, as it came; so do /, /ws, any other",
        "",
        "echo hi | websocat ws://127.0.0.1:9001/echo",
        "hi",
    ],
    [
        "/broadcast/{room}",
        "each message to all in the room, its sender too",
        "room: 1 to 255 bytes, percent-decoded. For one who does not read wait 2 MiB, then it \
             is closed with 1013",
        "echo hi | websocat -n1 ws://127.0.0.1:9001/broadcast/lobby",
        "hi",
    ],
    [
        "/delay/{ms}",
        "echo so much later",
        "ms: 0 to 60000. 1,000 messages or 1 MiB may wait, then it is closed with 1013",
        "echo hi | websocat -n1 ws://127.0.0.1:9001/delay/500",
        "hi",
    ],
    [
        "/jitter/{max ms}",
        "the same by a random time, in order",
        "max ms: 0 to 60000. 1,000 messages or 1 MiB may wait, then it is closed with 1013",
        "echo hi | websocat -n1 ws://127.0.0.1:9001/jitter/200",
        "hi",
    ],
    [
        "/fragment/{bytes}",
        "echo in fragments of that size",
        "bytes: 1 to 16777216. What would be more than 131,072 fragments is closed with 1009",
        "echo hello | websocat -n1 ws://127.0.0.1:9001/fragment/2",
        "hello",
    ],
    [
        "/slow/{bytes per second}",
        "reads and answers at that rate",
        "bytes per second: 1 to 16777216, frames with their headers. A message comes back in \
             fragments as it comes in, however long that takes; the end is a silence of the idle \
             timeout, or a write that takes too long",
        "echo hi | websocat -n1 ws://127.0.0.1:9001/slow/10",
        "hi",
    ],
    [
        "/limits?message=SIZE&fragments=N&idle=TIME",
        "echo under these limits: 1009, 1008, the end",
        "each is at most the server's own, else 400. message: a size such as 4096, 64K or 16M. \
             fragments: from 1 on. idle: a time above zero such as 500ms, 1.5s or 2m; Pings go out \
             only if --ping-after is shorter",
        "echo hi | websocat 'ws://127.0.0.1:9001/limits?message=1K'",
        "hi",
    ],
];

const PUSH: &[Row] = &[
    [
        "/count/{n}?every=ms",
        "text messages 1 to n, then a close",
        "n: 0 to 18446744073709551615. every: 0 to 60000, the time between two [0]",
        "websocat -n 'ws://127.0.0.1:9001/count/3?every=100' </dev/null",
        "1\n2\n3",
    ],
    [
        "/tick/{ms}",
        "text messages 1, 2, ..., one every ms",
        "ms: 1 to 3600000. The first comes at once; what comes from the client is thrown away",
        "websocat -n --max-messages-rev 3 ws://127.0.0.1:9001/tick/100 </dev/null",
        "1\n2\n3",
    ],
    [
        "/flood/{bytes}",
        "binary messages as fast as the client reads",
        "bytes: 0 to 16777216, of each message",
        "websocat -nb1 ws://127.0.0.1:9001/flood/1000 </dev/null | wc -c",
        "1000",
    ],
    [
        "/ping/{seconds}",
        "server pings; a JSON text on each pong; echo",
        "seconds: 0.01 to 3600",
        "websocat -n1 ws://127.0.0.1:9001/ping/1 </dev/null",
        "{\"ping\":1,\"rtt_ms\":…}",
    ],
];

const END: &[Row] = &[
    [
        "/close/{code}?reason=R&after=N&delay=ms&reply=none",
        "closes with that code",
        "code: 1000 to 4999 without those that must not be sent. reason: at most 123 bytes. \
             after: so many echoes first [0]. delay: 0 to 60000, our Close so much later, the answer \
             to the client's too. reply=none: the client's Close is never answered, and ours is sent \
             only with after or delay",
        "websocat -nv 'ws://127.0.0.1:9001/close/4001?reason=enough' </dev/null 2>&1 \
             | grep -o 'Received.*'",
        "Received WebSocket close message",
    ],
    [
        "/drop/{n}",
        "n echoes, then TCP closed with no Close frame",
        "n: 0 to 18446744073709551615",
        "echo hi | websocat -n ws://127.0.0.1:9001/drop/1",
        "hi",
    ],
    [
        "/reset/{n}",
        "n echoes, then a TCP reset (RST)",
        "n: 0 to 18446744073709551615",
        "websocat -n ws://127.0.0.1:9001/reset/0 </dev/null 2>&1 | head -1",
        "websocat: WebSocketError: I/O failure",
    ],
    [
        "/stall",
        "reads nothing, until the idle timeout; pings",
        "",
        "timeout 1 websocat -n ws://127.0.0.1:9001/stall </dev/null; echo $?",
        "124",
    ],
];

const HANDSHAKE: &[Row] = &[
    [
        "/status/{code}?header=Name:value&body=TEXT",
        "that answer in place of 101, for plain GET too",
        "code: 200 to 599. header: up to 32, percent-encoded; those of the handshake and of \
             HTTP's framing are 400, and what would outlive the request or lead elsewhere \
             (Set-Cookie, a Location on another host and the like) is 403 without --faults. body: plain text, up to 64 KiB, if --max-request-line [8K] has room for it. Unless a header says so: 401 has WWW-Authenticate, 301, \
             302, 303, 307 and 308 have Location: /echo, 429 and 503 have Retry-After: 1",
        "websocat ws://127.0.0.1:9001/status/429 </dev/null 2>&1 | head -1",
        "websocat: WebSocketError: WebSocketError: Received unexpected status code (429 Too Many \
             Requests)",
    ],
    [
        "/auth/basic/{user}/{password}",
        "echo for these, else 401",
        "each percent-decoded; a user has no colon",
        "echo hi | websocat --basic-auth joe:secret ws://127.0.0.1:9001/auth/basic/joe/secret",
        "hi",
    ],
    [
        "/auth/bearer/{token}",
        "echo for this token, else 401",
        "token: letters, digits, - . _ ~ + / and = at the end",
        "echo hi | websocat -H='Authorization: Bearer t0ken' \
             ws://127.0.0.1:9001/auth/bearer/t0ken",
        "hi",
    ],
    [
        "/auth/query/{token}?token=T",
        "echo for this token, or any if none is named",
        "token: not empty, percent-decoded",
        "echo hi | websocat 'ws://127.0.0.1:9001/auth/query/t0ken?token=t0ken'",
        "hi",
    ],
    [
        "/auth/cookie/{name}/{value}",
        "echo for this cookie, else 401",
        "each percent-decoded, name and value as RFC 6265 has them",
        "echo hi | websocat -H='Cookie: id=7' ws://127.0.0.1:9001/auth/cookie/id/7",
        "hi",
    ],
    [
        "/headers",
        "the request's head as a JSON text, then echo",
        "",
        "websocat -n1 ws://127.0.0.1:9001/headers </dev/null",
        "{\"method\":\"GET\",\"target\":\"/headers\",…}",
    ],
    [
        "/subprotocol",
        "always the first subprotocol offered; echo",
        "",
        "echo hi | websocat --protocol mqtt ws://127.0.0.1:9001/subprotocol",
        "hi",
    ],
    [
        "/echo?subprotocol=NAME",
        "agrees to that one, or to none; so on any path",
        "NAME: one that the client offers, or none; else 400",
        "echo hi | websocat --protocol mqtt 'ws://127.0.0.1:9001/echo?subprotocol=mqtt'",
        "hi",
    ],
];

const FAULT: &[Row] = &[
    [
        "/handshake/{kind}?every=ms",
        "one fault of the 101, or what is odd but legal",
        "kind: wrong-accept, no-accept, two-accepts, subprotocol (one not offered), extension \
             (one not offered), no-upgrade, no-connection, http10; lower-case, upper-case, \
             whitespace (these three are legal), folded (obs-fold), slow (a byte each ms; legal), \
             with-frame (the 101 and a message in one segment; legal), cut (TCP ends in the middle), \
             reset, huge (1 MiB of headers). every: 0 to 60000, for slow [1000]. Whoever goes on \
             gets an echo",
        "echo hi | websocat ws://127.0.0.1:9001/handshake/lower-case",
        "hi",
    ],
    [
        "/invalid/{kind}",
        "one violation behind the handshake",
        "kind: utf8, rsv, opcode, masked, length or continuation",
        "websocat -n ws://127.0.0.1:9001/invalid/utf8 </dev/null 2>&1 | head -1",
        "websocat: WebSocketError: UTF-8 failure",
    ],
];

const HTTP: &[Row] = &[
    [
        "/",
        "a page to try all this from a browser",
        "",
        "curl -s http://127.0.0.1:9001/ | head -1",
        "<!doctype html>",
    ],
    ["/healthz", "ok", "", "curl -s http://127.0.0.1:9001/healthz", "ok"],
    [
        "/metrics",
        "counters in the text format of Prometheus",
        "",
        "curl -s http://127.0.0.1:9001/metrics | grep ^barews_connections_opened_total",
        "barews_connections_opened_total …",
    ],
    [
        "/paths.json",
        "this table",
        "",
        "curl -s http://127.0.0.1:9001/paths.json | head -c 16",
        "[{\"path\":\"/echo\"",
    ],
    #[cfg(feature = "tls")]
    [
        "/cert.pem",
        "the certificate of --tls-self-signed",
        "",
        "curl -sk https://127.0.0.1:9001/cert.pem | head -1",
        "-----BEGIN CERTIFICATE-----",
    ],
];
