//! Who is let in, as whom.

use crate::common::{Frame, RawClient, TEXT, frame, r0};
use crate::program::start;

#[test]
fn a_cookie_or_a_token_tells_who_it_is() {
    let example = start("auth", &[]);
    for (line, name) in [
        ("Authorization: Bearer token-of-ann", "Ann"),
        ("authorization: bearer token-of-ann", "Ann"),
        ("Cookie: session=session-of-bob", "Bob"),
        ("Cookie: theme=dark; session=session-of-bob; session=other", "Bob"),
        ("Cookie: theme=dark\r\nCookie: session=session-of-bob", "Bob"),
        ("Cookie: session=session-of-bob\r\nOrigin: https://example.com", "Bob"),
        ("Cookie: session=session-of-bob\r\nAuthorization: Bearer token-of-ann", "Ann"),
    ] {
        let mut client = RawClient::connect(example.addr);
        client.send(r0().add(line).bytes());
        client.expect_upgrade();
        client.expect(&Frame::text(format!("Hello, {name}!")));
        client.send(frame(TEXT, "and back"));
        client.expect(&Frame::text("and back"));
        client.finish();
    }
}

#[test]
fn nobody_else_is_let_in() {
    let example = start("auth", &[]);
    for line in [
        "Accept: */*",
        "Authorization: Bearer",
        "Authorization: Bearer token-of-eve",
        "Authorization: Bearer session-of-bob",
        "Authorization: Basic token-of-ann",
        "Authorization: Bearer token-of-ann token-of-ann",
        // A wrong token is not made good by a cookie.
        "Authorization: Bearer token-of-eve\r\nCookie: session=session-of-bob",
        "Cookie: session=",
        "Cookie: session=token-of-ann",
        "Cookie: Session=session-of-bob",
        "Cookie: xsession=session-of-bob",
        "Cookie: theme=session=session-of-bob",
    ] {
        let mut client = RawClient::connect(example.addr);
        client.send(r0().add(line).bytes());
        let response = client.read_response();
        assert_eq!(response.status, 401, "{line}");
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
        assert_eq!(response.body, br#"{"error": "unauthorized"}"#);
        client.expect_eof();
    }
}

/// A browser would have sent the cookie all the same.
#[test]
fn no_other_page_may_use_the_cookie() {
    let example = start("auth", &[]);
    let mut client = RawClient::connect(example.addr);
    let request = r0().add("Cookie: session=session-of-bob").add("Origin: https://evil.example");
    client.send(request.bytes());
    client.expect_refusal(403);
}
