//! Where the corpora come from: bad inputs of all kinds, and the cases of the Autobahn Testsuite,
//! each with what is to become of it.
//!
//! `fuzz/run` starts from them as well as from the corpora, which are made of them and of what was
//! found since; the tests replay both.

/// What becomes of a client's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It may go on.
    Open,
    /// The closing handshake is done.
    Closed,
    /// It is failed with this code.
    Fails(u16),
}

use Outcome::{Closed, Fails, Open};

/// Name, which of the limits of `receive_split`, frames, outcome.
///
/// Frames are hex, with `m` for a masking key of zeros, and `78*125` for a byte repeated.
type Row = (&'static str, u8, &'static str, Outcome);

/// Frames that are wrong, or all but wrong.
const FRAMES: &[Row] = &[
    ("unmasked", 0, "81 05 48656c6c6f", Fails(1002)),
    ("unmasked-ping", 0, "89 00", Fails(1002)),
    ("rsv1", 0, "c1 80 m", Fails(1002)),
    ("rsv2", 0, "a1 80 m", Fails(1002)),
    ("rsv3", 0, "91 80 m", Fails(1002)),
    ("rsv1-ping", 0, "c9 80 m", Fails(1002)),
    ("rsv1-continuation", 0, "01 80 m c0 80 m", Fails(1002)),
    ("opcode-3", 0, "83 80 m", Fails(1002)),
    ("opcode-4", 0, "84 80 m", Fails(1002)),
    ("opcode-5", 0, "85 80 m", Fails(1002)),
    ("opcode-6", 0, "86 80 m", Fails(1002)),
    ("opcode-7", 0, "87 80 m", Fails(1002)),
    ("opcode-11", 0, "8b 80 m", Fails(1002)),
    ("opcode-12", 0, "8c 80 m", Fails(1002)),
    ("opcode-13", 0, "8d 80 m", Fails(1002)),
    ("opcode-14", 0, "8e 80 m", Fails(1002)),
    ("opcode-15", 0, "8f 80 m", Fails(1002)),
    ("ping-126-header", 0, "89 fe 007e m", Fails(1002)),
    ("ping-126", 0, "89 fe 007e m 78*126", Fails(1002)),
    ("close-64-bit-length", 0, "88 ff", Fails(1002)),
    ("fragmented-ping", 0, "09 80 m", Fails(1002)),
    ("fragmented-pong", 0, "0a 80 m", Fails(1002)),
    ("fragmented-close", 0, "08 80 m", Fails(1002)),
    ("length-125-in-16-bits", 0, "81 fe 007d m 78*125", Fails(1002)),
    ("length-0-in-16-bits", 0, "82 fe 0000 m", Fails(1002)),
    ("length-65535-in-64-bits", 0, "82 ff 000000000000ffff m", Fails(1002)),
    ("length-1-in-64-bits", 0, "82 ff 0000000000000001 m 78", Fails(1002)),
    ("length-high-bit", 0, "82 ff 8000000000000000 m", Fails(1002)),
    ("length-all-bits", 0, "82 ff ffffffffffffffff m", Fails(1002)),
    ("length-2-63-less-1", 0, "82 ff 7fffffffffffffff m", Fails(1009)),
    ("length-2-63-less-1-no-limit", 2, "82 ff 7fffffffffffffff m 78", Open),
    ("lengths-that-overflow", 2, "02 81 m 78 80 ff 7fffffffffffffff m 78", Fails(1009)),
    ("maximum-plus-1", 0, "82 ff 0000000001000001 m", Fails(1009)),
    ("maximum", 1, "82 c0 m 78*64", Open),
    ("maximum-plus-1-scaled", 1, "82 c1 m", Fails(1009)),
    ("fragments-over-maximum", 1, "02 a0 m 78*32 80 a1 m", Fails(1009)),
    ("fragments-of-maximum", 1, "02 a0 m 78*32 80 a0 m 78*32", Open),
    ("empty-maximum", 3, "82 80 m 81 80 m", Open),
    ("empty-maximum-plus-1", 3, "82 81 m", Fails(1009)),
    ("continuation-first", 0, "80 80 m", Fails(1002)),
    ("continuation-first-not-fin", 0, "00 80 m", Fails(1002)),
    ("continuation-after-a-message", 0, "81 81 m 61 80 80 m", Fails(1002)),
    ("text-in-a-text", 0, "01 81 m 61 81 81 m 62", Fails(1002)),
    ("binary-in-a-text", 0, "01 81 m 61 02 80 m", Fails(1002)),
    ("ping-between-fragments", 0, "01 81 m 61 89 81 m 2a 80 81 m 62", Open),
    ("close-between-fragments", 0, "01 81 m 61 88 82 m 03e8", Closed),
    ("empty-text", 0, "81 80 m", Open),
    ("three-empty-fragments", 0, "01 80 m 00 80 m 80 80 m", Open),
    ("text-ff", 0, "81 81 m ff", Fails(1007)),
    ("text-cut", 0, "81 81 m c3", Fails(1007)),
    ("text-c080", 0, "81 82 m c080", Fails(1007)),
    ("text-e08080", 0, "81 83 m e08080", Fails(1007)),
    ("text-f0808080", 0, "81 84 m f0808080", Fails(1007)),
    ("text-surrogate", 0, "81 83 m eda080", Fails(1007)),
    ("text-above-10ffff", 0, "81 84 m f4908080", Fails(1007)),
    ("text-f5", 0, "81 81 m f5", Fails(1007)),
    ("text-cut-and-continued", 0, "01 82 m f09f 80 82 m 9880", Open),
    ("text-cut-over-a-ping", 0, "01 82 m f09f 89 81 m ff 80 82 m 9880", Open),
    ("text-f4-then-90", 0, "01 81 m f4 80 81 m 90", Fails(1007)),
    ("text-f4-then-90-not-fin", 0, "01 81 m f4 00 81 m 90", Fails(1007)),
    ("text-cut-then-empty", 0, "01 81 m c3 80 80 m", Fails(1007)),
    ("text-cut-by-the-end-of-a-message", 0, "81 81 m 61 82 81 m c3 81 81 m a9", Fails(1007)),
    ("binary-ff", 0, "82 81 m ff", Open),
    ("close-empty", 0, "88 80 m", Closed),
    ("close-1-byte", 0, "88 81 m 03", Fails(1002)),
    ("close-reason-not-utf8", 0, "88 84 m 03e8 c328", Fails(1007)),
    ("close-reason-cut", 0, "88 83 m 03e8 c3", Fails(1007)),
    ("close-reason-123-bytes", 0, "88 fd m 03e8 78*123", Closed),
    ("close-reason-124-bytes", 0, "88 fe 007e m 03e8 78*124", Fails(1002)),
    ("close-then-text", 0, "88 82 m 03e8 81 81 m 61", Closed),
    ("close-then-a-bad-frame", 0, "88 80 m 83 80 m ff*100", Closed),
    ("end-in-a-header", 0, "81", Open),
    ("end-in-a-payload", 0, "81 85 m 48", Open),
    ("one-byte-of-a-length", 0, "82 fe 01", Open),
    ("header-of-14-bytes", 0, "82 ff 0000000000010000 37fa213d 00*8", Open),
    ("ping-125", 0, "89 fd m 78*125", Open),
    ("unsolicited-pong", 0, "8a 80 m", Open),
    ("many-pings", 0, "89 81 m 61 89 81 m 62 89 81 m 63 89 81 m 64 89 81 m 65 89 81 m 66", Open),
    (
        "too-many-fragments",
        1,
        "02 81 m 61 00 81 m 62 00 81 m 63 00 81 m 64 80 81 m 65",
        Fails(1008),
    ),
    ("fragments-as-many-as-may-be", 1, "02 81 m 61 00 81 m 62 00 81 m 63 80 81 m 64", Open),
    ("too-many-empty-fragments", 1, "01 80 m 00 80 m 00 80 m 00 80 m 00 80 m", Fails(1008)),
    ("fragments-are-counted-anew", 1, "02 80 m 00 80 m 00 80 m 80 80 m 02 80 m 80 80 m", Open),
    ("one-fragment-only", 3, "01 80 m 80 80 m", Fails(1008)),
    ("bad-then-anything", 0, "83 80 m 81 85 m 48656c6c6f ff*1000", Fails(1002)),
    ("good-then-bad", 0, "81 85 m 48656c6c6f 83 80 m", Fails(1002)),
];

/// Cases of the Autobahn Testsuite, by their number; those with large messages scaled down.
const AUTOBAHN: &[Row] = &[
    ("1.1.2", 0, "81 fd m 2a*125", Open),
    ("1.1.3", 0, "81 fe 007e m 2a*126", Open),
    ("1.1.4", 0, "81 fe 007f m 2a*127", Open),
    ("1.1.5", 0, "81 fe 0080 m 2a*128", Open),
    ("1.2.1", 0, "82 80 m", Open),
    ("1.2.2", 0, "82 fd 37fa213d fe*125", Open),
    ("1.2.3", 0, "82 fe 007e 37fa213d fe*126", Open),
    ("2.1", 0, "89 80 m", Open),
    ("2.2", 0, "89 8d m 48656c6c6f2c20776f726c6421", Open),
    ("2.3", 0, "89 88 37fa213d 00fffefdfcfb00ff", Open),
    ("2.4", 0, "89 fd m fe*125", Open),
    ("2.5", 0, "89 fe 007e m fe*126", Fails(1002)),
    ("2.8", 0, "8a 83 m 616263", Open),
    ("2.9", 0, "8a 83 m 616263 89 83 m 646566", Open),
    ("3.1", 0, "d1 80 m", Fails(1002)),
    ("3.2", 0, "81 83 m 616263 a1 83 m 616263 89 80 m", Fails(1002)),
    ("3.3", 0, "81 83 m 616263 b1 83 m 616263 89 80 m", Fails(1002)),
    ("3.5", 0, "d2 88 m 00*8", Fails(1002)),
    ("3.6", 0, "e9 85 m 48656c6c6f", Fails(1002)),
    ("3.7", 0, "f8 80 m", Fails(1002)),
    ("4.1.2", 0, "84 83 m 616263", Fails(1002)),
    ("4.1.3", 0, "81 83 m 616263 85 80 m 89 80 m", Fails(1002)),
    ("4.2.3", 0, "81 83 m 616263 8d 80 m 89 80 m", Fails(1002)),
    ("5.1", 0, "09 83 m 616263 80 83 m 646566", Fails(1002)),
    ("5.2", 0, "0a 83 m 616263 80 83 m 646566", Fails(1002)),
    ("5.3", 0, "01 83 m 616263 80 83 m 646566", Open),
    ("5.6", 0, "01 83 m 616263 89 83 m 2a2a2a 80 83 m 646566", Open),
    ("5.9", 0, "80 83 m 616263 81 83 m 646566", Fails(1002)),
    ("5.12", 0, "00 83 m 616263 81 83 m 646566", Fails(1002)),
    ("5.15", 0, "01 81 m 61 80 81 m 62 00 81 m 63 81 81 m 64", Fails(1002)),
    ("5.16", 0, "00 81 m 61 01 81 m 62 80 81 m 63", Fails(1002)),
    ("5.18", 0, "01 83 m 616263 81 83 m 646566", Fails(1002)),
    ("5.19", 0, "01 81 m 61 00 81 m 62 89 81 m 2a 00 81 m 63 00 81 m 64 89 80 m 80 81 m 65", Open),
    ("6.1.3", 0, "01 80 m 00 83 m 616263 80 80 m", Open),
    ("6.2.3", 0, "01 81 m ce 00 81 m ba 00 81 m e1 00 81 m bd 00 81 m b9 80 80 m", Open),
    ("6.4.1", 0, "01 85 m cebae1bdb9 00 84 m f4908080 80 86 m 656469746564", Fails(1007)),
    ("6.4.2", 0, "01 86 m cebae1bdb9f4 00 81 m 90 80 82 m 8080", Fails(1007)),
    ("6.4.3", 0, "81 8f m cebae1bdb9cf83cebccf f4908080", Fails(1007)),
    ("6.4.4", 0, "81 95 m cebae1bdb9 f4 90", Fails(1007)),
    ("7.1.2", 0, "88 82 m 03e8 88 82 m 03e8", Closed),
    ("7.1.3", 0, "88 82 m 03e8 89 80 m", Closed),
    ("7.1.5", 0, "01 83 m 616263 88 82 m 03e8 80 83 m 646566", Closed),
    ("7.3.4", 0, "88 8d m 03e8 68656c6c6f20776f726c64", Closed),
    ("7.5.1", 0, "88 96 m 03e8 cebae1bdb9cf83cebcceb5eda080656469746564", Fails(1007)),
    ("7.13.1", 0, "88 82 m 1388", Fails(1002)),
    ("7.13.2", 0, "88 86 m ffff fffe0000", Fails(1002)),
    ("9.1", 1, "81 c0 m 2a*64 81 c0 m 2a*64", Open),
    ("9.3", 1, "01 90 m 2a*16 00 90 m 2a*16 00 90 m 2a*16 80 90 m 2a*16", Open),
    ("9.5", 1, "01 a0 m 2a*32 00 a0 m 2a*32 80 81 m", Fails(1009)),
    ("10.1.1", 0, "01 fe 0514 m 2a*1300 80 fe 0514 m 2a*1300", Open),
];

/// Close codes, good and bad.
const GOOD_CODES: [u16; 16] = [
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
];
const BAD_CODES: [u16; 13] =
    [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32_768, 65_535];

/// Texts of Autobahn's groups 6.5 to 6.23, and whether they are UTF-8 and whole.
const TEXTS: &[(&str, &str, bool)] = &[
    ("6.2.1", "48656c6c6f2dc2b540c39fc3b6c3a4c3bcc3a0c3a12d5554462d382121", true),
    ("6.5.5", "cebae1bdb9cf83cebcceb5", true),
    ("6.6.3", "cebae1", false),
    ("6.6.4", "cebae1bd", false),
    ("6.7.1", "00", true),
    ("6.7.2", "c280", true),
    ("6.7.3", "e0a080", true),
    ("6.7.4", "f0908080", true),
    ("6.8.1", "f888808080", false),
    ("6.8.2", "fc8480808080", false),
    ("6.9.1", "7f", true),
    ("6.9.2", "dfbf", true),
    ("6.9.3", "efbfbf", true),
    ("6.9.4", "f48fbfbf", true),
    ("6.10.1", "f7bfbfbf", false),
    ("6.11.1", "ed9fbf", true),
    ("6.11.2", "ee8080", true),
    ("6.11.3", "efbfbd", true),
    ("6.11.5", "f4908080", false),
    ("6.12.1", "80", false),
    ("6.12.2", "bf", false),
    ("6.12.8", "8081828384858687888990", false),
    ("6.13.1", "c020c120c220c320", false),
    ("6.13.2", "e020e120e220e320", false),
    ("6.13.3", "f020f120f220f320", false),
    ("6.14.1", "c0", false),
    ("6.14.2", "e080", false),
    ("6.14.3", "f08080", false),
    ("6.14.6", "df", false),
    ("6.14.7", "efbf", false),
    ("6.15.1", "c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf", false),
    ("6.16.1", "fe", false),
    ("6.16.3", "fefeffff", false),
    ("6.17.1", "c0af", false),
    ("6.17.3", "f08080af", false),
    ("6.18.1", "c1bf", false),
    ("6.18.2", "e09fbf", false),
    ("6.18.3", "f08fbfbf", false),
    ("6.20.1", "eda080", false),
    ("6.20.7", "edbfbf", false),
    ("6.21.1", "eda080edb080", false),
    ("6.22.1", "efbfbe", true),
    ("6.22.3", "f09fbfbe", true),
    ("6.23.1", "efbfbd", true),
];

/// Requests: what is changed in a good one, into what, and whether it is still good.
const REQUESTS: &[(&str, &str, &str, bool)] = &[
    ("good", "", "", true),
    ("post", "GET", "POST", false),
    ("get-in-lower-case", "GET", "get", false),
    ("http-1.0", "HTTP/1.1", "HTTP/1.0", false),
    ("http-2.0", "HTTP/1.1", "HTTP/2.0", false),
    ("http-1.2", "HTTP/1.1", "HTTP/1.2", true),
    ("http-2-preface", "GET /chat HTTP/1.1", "PRI * HTTP/2.0", false),
    ("no-host", "Host: a\r\n", "", false),
    ("two-hosts", "Host: a", "Host: a\r\nHost: a", false),
    ("host-ipv6", "Host: a", "Host: [1:2:3:4:5:6:7::]:80", true),
    ("host-ipv4-in-ipv6", "Host: a", "Host: [::ffff:1.2.3.40]", true),
    ("host-ipv4-leading-zero", "Host: a", "Host: [::ffff:1.2.3.04]", false),
    ("host-ipv4-256", "Host: a", "Host: [::ffff:1.2.3.256]", false),
    ("host-ipv6-too-many-groups", "Host: a", "Host: [1:2:3:4:5:6:7:8::]", false),
    ("host-escaped", "Host: a", "Host: %41%5F.b:", true),
    ("host-port-65536", "Host: a", "Host: a:65536", false),
    ("no-upgrade", "Upgrade: websocket\r\n", "", false),
    ("upgrade-list", "Upgrade: websocket", "Upgrade: h2c, WebSocket", true),
    ("upgrade-notwebsocket", "Upgrade: websocket", "Upgrade: notwebsocket", false),
    ("upgrade-websocket2", "Upgrade: websocket", "Upgrade: websocket2", false),
    ("upgrade-websocket-13", "Upgrade: websocket", "Upgrade: websocket/13", false),
    ("connection-list", "Connection: Upgrade", "Connection: keep-alive, UPGRADE", true),
    ("connection-x-upgrade", "Connection: Upgrade", "Connection: x-upgrade", false),
    ("no-connection", "Connection: Upgrade\r\n", "", false),
    ("no-key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", false),
    ("two-keys", "Sec", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec", false),
    ("key-15-bytes", "dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAA", false),
    ("key-17-bytes", "dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAAA=", false),
    ("key-24-bytes", "dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false),
    ("key-not-base64", "dGhlIHNhbXBsZSBub25jZQ==", "not base64 of anything!!", false),
    ("key-url-safe", "dGhlIHNhbXBsZSBub25jZQ==", "----____----____----_w==", false),
    ("key-unpadded", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", false),
    ("key-with-spaces", "dGhlIHNhbXBsZSBub25jZQ==", " \tdGhlIHNhbXBsZSBub25jZQ== ", true),
    ("no-version", "Sec-WebSocket-Version: 13\r\n", "", false),
    ("version-0", "Version: 13", "Version: 0", false),
    ("version-8", "Version: 13", "Version: 8", false),
    ("version-14", "Version: 13", "Version: 14", false),
    ("version-99", "Version: 13", "Version: 99", false),
    ("version-130", "Version: 13", "Version: 130", false),
    ("two-versions", "Sec-WebSocket-Key", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key", false),
    ("origin-listed", "Host: a", "Host: a\r\nOrigin: https://good.example", true),
    ("origin-not-listed", "Host: a", "Host: a\r\nOrigin: https://bad.example", true),
    ("origin-null", "Host: a", "Host: a\r\nOrigin: null", true),
    ("two-origins", "Host: a", "Host: a\r\nOrigin: https://a\r\nOrigin: https://a", false),
    ("absolute-target", "/chat", "http://a/chat?b", true),
    ("fragment-in-target", "/chat", "/a#b", false),
    ("obs-fold", "Host: a", "Host: a\r\n b", false),
    ("space-before-first-header", "Host: a", " Host: a", false),
    ("bare-lf", "\r\n", "\n", false),
    ("one-bare-lf", "Host: a\r\n", "Host: a\n", false),
    ("no-colon", "Host: a", "Host: a\r\nX", false),
    ("space-before-colon", "Host: a", "Host : a", false),
    ("no-name", "Host: a", "Host: a\r\n: a", false),
    ("nul-in-method", "GET", "G\0T", false),
    ("nul-in-name", "Host: a", "Host: a\r\nX\0: a", false),
    ("nul-in-value", "Host: a", "Host: a\r\nX: \0", false),
    ("separator-in-name", "Host: a", "Host: a\r\nX(y): a", false),
    ("control-in-value", "Host: a", "Host: a\r\nX: \x01", false),
    ("del-in-value", "Host: a", "Host: a\r\nX: \x7f", false),
    ("content-length-5", "Host: a", "Host: a\r\nContent-Length: 5", false),
    ("content-length-0", "Host: a", "Host: a\r\nContent-Length: 0", true),
    ("chunked", "Host: a", "Host: a\r\nTransfer-Encoding: chunked", false),
    (
        "chunked-with-length",
        "Host: a",
        "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        false,
    ),
    ("second-request-behind", ": 13\r\n\r\n", ": 777\r\n\r\nGET / HTTP/1.1\r\n\r\n", false),
    ("frames-behind", ": 13\r\n\r\n", ": 13\r\n\r\n\u{1}\u{0}", true),
    ("empty-line-ahead", "GET", "\r\nGET", true),
    ("two-empty-lines-ahead", "GET", "\r\n\r\nGET", false),
    ("double-space", "GET ", "GET  ", false),
    ("tab-in-request-line", "GET ", "GET\t", false),
    ("tls", "GET /chat HTTP/1.1", "\x16\x03\x01\x02", false),
    ("syn", "GET /chat HTTP/1.1", "\x16\x02", false),
    ("http-2", "GET /chat HTTP/1.1", "PRI * HTTP/2.0", false),
    ("pri-1.1", "GET /chat", "PRI *", false),
    ("options-asterisk", "GET /chat", "OPTIONS *", false),
    ("get-asterisk", "/chat", "*", false),
    ("extensions-empty", "Host: a", "Host: a\r\nSec-WebSocket-Extensions: ,", true),
    ("origin-own", "Host: a", "Host: a\r\nOrigin: http://a", true),
    ("unknown-expectation", "Host: a", "Host: a\r\nExpect: 200-ok", false),
    ("extensions", "Host: a", "Host: a\r\nSec-WebSocket-Extensions: a; b=\"c\", d", true),
    ("extensions-redos", "Host: a", "Host: a\r\nSec-WebSocket-Extensions: a; b=\"\\c\\c\\c", false),
    ("protocol-gap", "Host: a", "Host: a\r\nSec-WebSocket-Protocol: b             x", false),
    ("protocols", "Host: a", "Host: a\r\nSec-WebSocket-Protocol: a, b", true),
    ("protocol-nul", "Host: a", "Host: a\r\nSec-WebSocket-Protocol: a\0", false),
    ("protocol-twice", "Host: a", "Host: a\r\nSec-WebSocket-Protocol: a,a", false),
    ("expect", "Host: a", "Host: a\r\nExpect: 100-continue", true),
    ("cr-cr-lf", "Host: a\r\n", "Host: a\r\r\n", false),
    ("cut", "Upgrade: websocket\r\nConnection", "\r", false),
    ("obs-text", "Host: a", "Host: a\r\nX: caf\u{e9}", true),
];

/// Offers of permessage-deflate: lines of the header, and whether one of them is acceptable.
#[cfg(feature = "deflate")]
pub const OFFERS: &[(&str, &str, bool)] = &[
    ("none", "", false),
    ("plain", "permessage-deflate", true),
    ("unknown", "permessage-deflate; foo", false),
    ("unknown-value", "permessage-deflate; foo=\"a\\b\"", false),
    ("fallback", "permessage-deflate; foo, permessage-deflate", true),
    ("fallback-line", "permessage-deflate; foo\npermessage-deflate", true),
    ("no-value", "permessage-deflate; server_max_window_bits", false),
    ("server-7", "permessage-deflate; server_max_window_bits=7", false),
    ("server-8", "permessage-deflate; server_max_window_bits=8", true),
    ("server-15", "permessage-deflate; server_max_window_bits=15", true),
    ("server-16", "permessage-deflate; server_max_window_bits=16", false),
    ("server-150", "permessage-deflate; server_max_window_bits=150", false),
    ("client-120", "permessage-deflate; client_max_window_bits=\"1\\20\"", false),
    ("wraps-8-bits", "permessage-deflate; server_max_window_bits=265", false),
    ("wraps", "permessage-deflate; client_max_window_bits=18446744073709551625", false),
    ("leading-zero", "permessage-deflate; server_max_window_bits=08", false),
    ("sign", "permessage-deflate; client_max_window_bits=+9", false),
    ("fraction", "permessage-deflate; client_max_window_bits=9.0", false),
    ("hex", "permessage-deflate; server_max_window_bits=0x9", false),
    ("two-tokens", "permessage-deflate; server_max_window_bits=9 9", false),
    ("takeover-value", "permessage-deflate; server_no_context_takeover=1", false),
    ("takeover-empty", "permessage-deflate; client_no_context_takeover=\"\"", false),
    ("case", "permessage-deflate; Server_No_Context_Takeover", false),
    ("case-of-the-name", "PERMESSAGE-DEFLATE", false),
    ("quoted", "permessage-deflate; server_max_window_bits=\"10\"", true),
    ("escaped", "permessage-deflate; server_max_window_bits=\"\\1\\0\"", true),
    ("escaped-half", "permessage-deflate ;\tclient_max_window_bits = \"1\\0\" ,", true),
    ("client", "permessage-deflate; client_max_window_bits", true),
    ("client-10", "permessage-deflate; client_max_window_bits=10", true),
    ("twice", "permessage-deflate; client_max_window_bits; client_max_window_bits=9", false),
    (
        "server-twice",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        false,
    ),
    (
        "takeover-twice",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        false,
    ),
    (
        "all",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         server_max_window_bits=12; client_max_window_bits=\"13\"",
        true,
    ),
    ("webkit", "x-webkit-deflate-frame", false),
    (
        "behind-others",
        "a; b=\"c\",, x-webkit-deflate-frame; permessage-deflate, permessage-deflate",
        true,
    ),
    ("bad-grammar", "permessage-deflate, a;", false),
];

const GOOD: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// Streams of frames: name, limits, bytes, outcome.
pub fn streams() -> Vec<(String, u8, Vec<u8>, Outcome)> {
    let mut streams = Vec::new();
    for (name, limits, frames, outcome) in FRAMES.iter().chain(AUTOBAHN) {
        streams.push(((*name).to_owned(), *limits, bytes(frames), *outcome));
    }
    for code in GOOD_CODES.into_iter().chain(BAD_CODES) {
        let frame = [&bytes("88 82 m")[..], &code.to_be_bytes()].concat();
        let outcome = if GOOD_CODES.contains(&code) { Closed } else { Fails(1002) };
        streams.push((format!("close-{code}"), 0, frame, outcome));
    }
    for (name, text, good) in TEXTS {
        let text = bytes(text);
        let frame = [&[0x81, 0x80 + text.len() as u8], &bytes("m")[..], &text].concat();
        streams.push(((*name).to_owned(), 0, frame, if *good { Open } else { Fails(1007) }));
    }
    streams
}

/// Requests: name, bytes, whether they are upgraded.
pub fn requests() -> Vec<(String, Vec<u8>, bool)> {
    let mut requests = Vec::new();
    for (name, from, to, good) in REQUESTS {
        assert!(GOOD.contains(from), "{name}");
        let request = if from.is_empty() { GOOD.to_owned() } else { GOOD.replace(from, to) };
        requests.push(((*name).to_owned(), request.into_bytes(), *good));
    }
    let with = |lines: String| GOOD.replace("Host: a\r\n", &format!("Host: a\r\n{lines}"));
    for (name, request, good) in [
        ("request-line-8192", GOOD.replace("chat", &"a".repeat(8_192 - 14)), true),
        ("request-line-8193", GOOD.replace("chat", &"a".repeat(8_193 - 14)), false),
        ("header-8192", with(format!("X: {}\r\n", "a".repeat(8_189))), true),
        ("header-8193", with(format!("X: {}\r\n", "a".repeat(8_190))), true),
        ("header-32-kib", with(format!("X: {}\r\n", "a".repeat(32_765))), false),
        ("100-headers", with("X: a\r\n".repeat(95)), true),
        ("101-headers", with("X: a\r\n".repeat(96)), false),
        ("head-too-large", with(format!("X: {}\r\n", "a".repeat(8_180)).repeat(4)), false),
        ("endless-header", with(format!("X: {}", "a".repeat(40_000))), false),
        (
            "5000-protocols",
            with(format!("Sec-WebSocket-Protocol: {}\r\n", "a,".repeat(4_000))),
            false,
        ),
        (
            "redos-8-kb",
            with(format!("Sec-WebSocket-Extensions: a; b=\"{}\r\n", "\\c".repeat(4_000))),
            false,
        ),
        ("gap-8-kb", with(format!("Sec-WebSocket-Protocol: b{}x\r\n", " ".repeat(8_000))), false),
    ] {
        requests.push((name.to_owned(), request.into_bytes(), good));
    }
    // 64 KiB of anything.
    let noise = (0_u32..65_536).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    requests.push(("noise".to_owned(), noise, false));
    requests
}

/// All seeds in the form that their targets take: target, name, bytes.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |target, name: &str, parts: &[&[u8]]| {
        seeds.push((target, name.to_owned(), parts.concat()));
    };
    for (name, limits, stream, _) in streams() {
        add("receive_split", &name, &[&[limits, 0, 7], &stream]);
        add("diff_tungstenite", &name, &[&[0, 7], &stream]);
        add("conversation", &name, &[&[limits, 0, 7, 0, 0, 0, 0, 0], &stream]);
        add("frame_header", &name, &[&stream[..stream.len().min(14)]]);
    }
    // Both ends close at once; a ping of ours, and a message, amid theirs.
    for plan in [0x1d, 0xd8, 0xbb, 0xc9, 0xea, 0xfb, 0xdc] {
        let stream = bytes("01 81 m 61 89 80 m 80 81 m 62 88 82 m 03e8 89 80 m");
        let name = format!("plan-{plan:x}");
        add("conversation", &name, &[&[0, 0, 5, plan, 0, plan, 0, 0], &stream]);
        add("conversation", &format!("{name}-frames"), &[&[1, 0, 5, plan, 0xb, 0, 0, 1], &stream]);
    }
    // Steps of every kind, in some orders.
    for seed in 0..24_u32 {
        let step = |i: u32| ((i + 1).wrapping_mul(2_654_435_761 + 2 * seed * seed) >> 21) as u8;
        let steps: Vec<u8> = (0..160).map(step).collect();
        add("session", &format!("steps-{seed}"), &[&[seed as u8, (seed * 11) as u8], &steps]);
    }
    for (name, request, _) in requests() {
        if request.len() < 12_000 {
            add("request_head", &name, &[&[0, 0, 7], &request]);
            add(
                "request_head",
                &format!("{name}-limited"),
                &[&[1, 40, 60, 6, 100, 0, 7], &request],
            );
            add("handshake", &name, &[&[0], &request]);
        }
    }
    for (i, ways) in (0..=255).zip([3, 4, 5, 6, 7].into_iter().cycle()) {
        add("handshake", &format!("changes-{i}"), &[&[1, ways, i, ways, i / 2, i, i / 3, ways, i]]);
    }
    #[cfg(feature = "deflate")]
    for (at, (name, lines, _)) in (0..).zip(OFFERS) {
        add("offers", name, &[&[at, 7_u8.wrapping_mul(at)], lines.as_bytes()]);
    }
    // Words in an order of their own.
    #[cfg(feature = "deflate")]
    for seed in 0..24_u8 {
        let words: Vec<u8> = (1..40).map(|i: u8| 128 + i.wrapping_mul(7 + 2 * seed) % 24).collect();
        add("offers", &format!("words-{seed}"), &[&[seed, seed * 10, 128], &words]);
    }
    for (name, text, _) in TEXTS {
        let text = bytes(text);
        add("utf8_stream", name, &[&[0, 5, 0, 0], &text]);
        add("utf8_stream", &format!("{name}-long"), &[&[0, 6, 90, 70], &text]);
    }
    for len in [0, 1, 7, 8, 9, 64, 100] {
        let plain: Vec<u8> = (0..len).collect();
        add("mask", &len.to_string(), &[&[0x37, 0xfa, 0x21, 0x3d, 0, len, len, 0, 6], &plain]);
    }
    for class in [0, 16, 64, 66, 70, 128] {
        let end = [3; 60];
        add("roundtrip", &format!("text-{class}"), &[&[0, 6, 0, class, 2], b"example", &end]);
        add("roundtrip", &format!("binary-{class}"), &[&[0, 7, 1, class, 1], b"example", &[1; 60]]);
    }
    #[cfg(feature = "deflate")]
    seeds.extend(super::deflate_seeds::seeds());
    seeds
}

/// Reads the notation of [`Row`].
pub fn bytes(text: &str) -> Vec<u8> {
    let hex = |digits: &str| -> Vec<u8> {
        let pairs = (0..digits.len()).step_by(2);
        pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    };
    let words = text.split(' ').map(|word| match word.split_once('*') {
        _ if word == "m" => vec![0; 4],
        Some((byte, count)) => hex(byte).repeat(count.parse().unwrap()),
        None => hex(word),
    });
    words.collect::<Vec<_>>().concat()
}
