use super::super::testing::{R0, read};

fn target(target: &str) -> super::RequestHead {
    let method = if target == "*" { "OPTIONS" } else { "GET" };
    read(format!("{method} {target} HTTP/1.1\r\n\r\n")).unwrap()
}

#[test]
fn a_target_has_its_parts() {
    for (text, authority, path, query) in [
        ("/", None, "/", None),
        ("*", None, "*", None),
        ("/a/b", None, "/a/b", None),
        ("/a?", None, "/a", Some("")),
        ("/?a?b", None, "/", Some("a?b")),
        ("//a@b/c", None, "//a@b/c", None),
        ("/a?u=http://b/c", None, "/a", Some("u=http://b/c")),
        ("/%00", None, "/%00", None),
        ("http://a", Some("a"), "/", None),
        ("http://a/", Some("a"), "/", None),
        ("HTTPS://a:1/b?c", Some("a:1"), "/b", Some("c")),
        ("WS://a?b@c/d", Some("a"), "/", Some("b@c/d")),
        ("wSs://[::1]:2/b://c@d", Some("[::1]:2"), "/b://c@d", None),
    ] {
        let head = target(text);
        assert_eq!(head.target(), text);
        assert_eq!(head.authority(), authority, "{text}");
        assert_eq!(head.path(), path, "{text}");
        assert_eq!(head.query(), query, "{text}");
    }
}

#[test]
fn headers_are_found_in_any_case() {
    let head = read("get / HTTP/1.1\r\nA: 1, 2\r\nb: \r\na:,3\r\nC: \u{e9}\r\n\r\n").unwrap();
    assert_eq!(head.method(), "get");
    assert_eq!(head.header("a").unwrap(), "1, 2");
    assert_eq!(head.header("B").unwrap(), "");
    assert_eq!(head.header("c").unwrap(), "\u{e9}");
    assert_eq!(head.header("d"), None);
    let lines: Vec<&[u8]> = head.header_values("A").collect();
    assert_eq!(lines, [b"1, 2".as_slice(), b",3"]);
    let elements: Vec<&[u8]> = head.header_list("a").collect();
    assert_eq!(elements, [b"1", b"2", b"3"]);
    assert_eq!(head.header_list("d").count(), 0);
}

#[test]
fn bytes_that_are_not_utf8_are_kept_and_shown() {
    let head = read(b"GET / HTTP/1.1\r\nA: x\xff\r\n\r\n").unwrap();
    assert_eq!(head.header_values("A").next(), Some(b"x\xff".as_slice()));
    assert_eq!(head.header("A").unwrap(), "x\u{fffd}");
}

#[test]
fn debug_shows_the_request() {
    let head = read("GET /a HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
    let shown =
        r#"RequestHead { method: "GET", target: "/a", minor_version: 1, headers: {"Host": "b"} }"#;
    assert_eq!(format!("{:?}", head.clone()), shown);
}

#[test]
fn a_head_is_small() {
    let head = read(R0).unwrap();
    assert_eq!(head.bytes.len(), R0.len());
    assert_eq!(head.fields.len(), 5);
    assert!(size_of_val(&head) <= 48 && size_of::<super::Field>() == 12);
}
