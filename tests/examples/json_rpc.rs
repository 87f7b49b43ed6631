//! JSON-RPC 2.0, with the examples of its specification.

use crate::common::{BINARY, Frame, RawClient, TEXT, frame};
use crate::program::start;

const PARSE_ERROR: &str =
    r#"{"error":{"code":-32700,"message":"Parse error"},"id":null,"jsonrpc":"2.0"}"#;
const INVALID: &str =
    r#"{"error":{"code":-32600,"message":"Invalid Request"},"id":null,"jsonrpc":"2.0"}"#;

/// A request and the response.
const CASES: &[(&str, &str)] = &[
    (
        r#"{"jsonrpc": "2.0", "method": "sum", "params": [42, 23], "id": 1}"#,
        r#"{"id":1,"jsonrpc":"2.0","result":65.0}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "greet", "params": {"name": "you"}, "id": "a"}"#,
        r#"{"id":"a","jsonrpc":"2.0","result":"Hello, you!"}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#,
        r#"{"error":{"code":-32601,"message":"Method not found"},"id":"1","jsonrpc":"2.0"}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "sum", "params": ["x"], "id": null}"#,
        r#"{"error":{"code":-32602,"message":"Invalid params"},"id":null,"jsonrpc":"2.0"}"#,
    ),
    (r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#, PARSE_ERROR),
    ("", PARSE_ERROR),
    (r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#, INVALID),
    (r#"{"jsonrpc": "2.0", "method": "sum", "params": "bar", "id": 1}"#, INVALID),
    (r#"{"jsonrpc": "2.0", "method": "sum", "params": [1], "id": {}}"#, INVALID),
    (r#"{"method": "sum", "params": [1], "id": 1}"#, INVALID),
    ("[]", INVALID),
    ("7", INVALID),
    (
        r#"[{"jsonrpc": "2.0", "method": "sum", "params": [1, 2], "id": 1},
            {"jsonrpc": "2.0", "method": "sum", "params": [7]},
            {"foo": "boo"}]"#,
        r#"[{"id":1,"jsonrpc":"2.0","result":3.0},{"error":{"code":-32600,"message":"Invalid Request"},"id":null,"jsonrpc":"2.0"}]"#,
    ),
];

#[test]
fn requests_are_answered_as_the_specification_has_it() {
    let example = start("json_rpc", &[]);
    let mut client = RawClient::open(example.addr);
    for (request, response) in CASES {
        client.send(frame(TEXT, request));
        let next = client.read_frame();
        assert_eq!(next, Some(Frame::text(response)), "{request}");
    }
    client.finish();
}

#[test]
fn a_notification_is_not_answered() {
    let example = start("json_rpc", &[]);
    let mut client = RawClient::open(example.addr);
    let notifications = [
        r#"{"jsonrpc": "2.0", "method": "sum", "params": [1]}"#,
        r#"{"jsonrpc": "2.0", "method": "foobar"}"#,
        r#"[{"jsonrpc": "2.0", "method": "foobar"}]"#,
    ];
    for notification in notifications {
        client.send(frame(TEXT, notification));
    }
    client.finish();
}

#[test]
fn what_would_cost_much_is_refused() {
    let example = start("json_rpc", &[]);
    let mut client = RawClient::open(example.addr);
    // Each of them would have an answer that is 40 times as long.
    client.send(frame(TEXT, format!("[{}1]", "1,".repeat(100))));
    client.expect(&Frame::text(INVALID));
    client.send(frame(TEXT, "[".repeat(60_000)));
    client.expect(&Frame::text(PARSE_ERROR));
    client.send(frame(TEXT, " ".repeat(65_537)));
    client.expect_close(1009);
    let mut client = RawClient::open(example.addr);
    client.send(frame(BINARY, "{}"));
    let close = client.read_frame().expect("a Close");
    assert_eq!(close.close_parts(), (1003, "JSON-RPC is text"));
}
