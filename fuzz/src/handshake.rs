//! A request is upgraded exactly if a checker of §4.2, written from the RFCs a second time, says
//! so; and every answer, be it yes or no, is well-formed and says what the RFC wants said.
//!
//! The first byte tells whether the rest is the request itself, or chooses changes to a good one.

use barews::http::{Accept, Handshake, HandshakeError, HeadLimits, HeadParser, RequestHead};
use barews::http::{check as judge, check_origin};
use tungstenite::handshake::derive_accept_key;

use super::bytes::Bytes;
use super::request_head::{Request, is_token, split, trim};

const ORIGIN: &str = "https://good.example";

pub fn check(data: &[u8]) {
    let stream = stream(data);
    match HeadParser::new(HeadLimits::default()).feed(&stream) {
        Ok((_, None)) => {}
        Err(error) => assert_refusal(error.into()),
        Ok((_, Some(head))) => {
            let request = Request::read(&stream).expect("read, and not by the naive parser");
            match (judge(&head), verdict(&request)) {
                (Ok(handshake), Ok(key)) => assert_accepts(handshake, &head, key, &request),
                (Err(refusal), Err(_)) => assert_refusal(refusal),
                (ours, naive) => panic!("{ours:?}, {naive:?}: {}", stream.escape_ascii()),
            }
            assert_origin(&head, &request);
        }
    }
}

/// Whether these bytes begin with a request that is to be upgraded.
pub fn accepts(stream: &[u8]) -> bool {
    let request = Request::read(stream);
    request.is_some_and(|it| it.fits(&HeadLimits::default()) && verdict(&it).is_ok())
}

/// The key, if all of §4.2.1 holds, and what of HTTP keeps the end of a request beyond doubt; or
/// else what does not.
fn verdict<'a>(request: &Request<'a>) -> Result<&'a [u8], &'static str> {
    let ensure = |good: bool, rule| if good { Ok(()) } else { Err(rule) };
    let all = |name: &str| -> Vec<&'a [u8]> {
        let lines =
            request.headers.iter().filter(|line| line.0.eq_ignore_ascii_case(name.as_bytes()));
        lines.map(|line| line.1).collect()
    };
    let list = |name| {
        let elements = all(name).into_iter().flat_map(|line| split(line, b","));
        elements.map(trim).filter(|element| !element.is_empty()).collect::<Vec<_>>()
    };
    let one = |name, rule| match all(name)[..] {
        [value] => Ok(value),
        _ => Err(rule),
    };
    ensure(request.method == b"GET", "item 1: a GET")?;
    ensure(request.minor >= 1, "item 1: HTTP/1.1 or higher")?;
    ensure(is_host(one("Host", "item 2: a Host")?), "RFC 9112 §3.2: a valid one")?;
    ensure(request.authority.is_none_or(is_host), "RFC 9112 §3.2.2: and in the target")?;

    let upgrade = list("Upgrade");
    let product =
        |it: &&[u8]| split(it, b"/").len() <= 2 && split(it, b"/").into_iter().all(is_token);
    ensure(upgrade.iter().all(product), "RFC 9110 §7.8: protocols")?;
    ensure(has(&upgrade, "websocket"), "item 3: an Upgrade to websocket")?;
    let connection = list("Connection");
    ensure(connection.iter().all(|it| is_token(it)), "RFC 9110 §7.6.1: tokens")?;
    ensure(has(&connection, "upgrade"), "item 4: a Connection that says Upgrade")?;
    let key = one("Sec-WebSocket-Key", "item 5: one key")?;
    ensure(is_key(key), "item 5: of 16 bytes")?;
    ensure(one("Sec-WebSocket-Version", "item 6: one version")? == b"13", "item 6: 13")?;
    ensure(all("Origin").len() <= 1, "item 7: an Origin at most")?;
    let mut protocols = list("Sec-WebSocket-Protocol");
    ensure(protocols.iter().all(|it| is_token(it)), "item 8: tokens")?;
    let (count, lines) = (protocols.len(), all("Sec-WebSocket-Protocol").len());
    ensure(count > 0 || lines == 0, "§4.1 item 10: at least one")?;
    protocols.sort();
    protocols.dedup();
    ensure(count == protocols.len(), "§4.1 item 10: all different")?;
    let extensions = all("Sec-WebSocket-Extensions");
    ensure(are_extensions(&extensions), "§9.1: extensions, or none")?;

    // RFC 9112 §6: there is no body.
    ensure(all("Transfer-Encoding").is_empty(), "no coding")?;
    let no_body = |it: &[u8]| !it.is_empty() && it.iter().all(|byte| *byte == b'0');
    let lengths = all("Content-Length");
    ensure(lengths.len() <= 1 && lengths.into_iter().all(no_body), "no length but zero")?;
    let continues = |it: &&[u8]| it.eq_ignore_ascii_case(b"100-continue");
    ensure(list("Expect").iter().all(continues), "RFC 9110 §10.1.1: no other expectation")?;
    Ok(key)
}

fn has(list: &[&[u8]], wanted: &str) -> bool {
    list.iter().any(|element| element.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// §4.1 item 7, RFC 4648 §4: 22 characters are 132 bits, of which the last four do not count.
fn is_key(key: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    key.len() == 24 && key[..22].iter().all(letter) && &key[22..] == b"=="
}

/// RFC 3986 §3.2.2, §3.2.3. A comma could have joined two hosts, and is refused.
fn is_host(value: &[u8]) -> bool {
    let Ok(value) = str::from_utf8(value) else { return false };
    let (host, port) = match value.rfind(':') {
        Some(colon) if !value[colon..].contains(']') => (&value[..colon], &value[colon + 1..]),
        _ => (value, ""),
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits && (port.trim_start_matches('0').is_empty() || port.parse::<u16>().is_ok());
    port && match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let mut parts = host.split('%');
            let name = |part: &str| {
                let good = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+;=".contains(c);
                part.chars().all(good)
            };
            let escaped = |part: &str| {
                let digits = part.get(..2).is_some_and(|two| u8::from_str_radix(two, 16).is_ok());
                digits && !part.starts_with('+') && name(&part[2..])
            };
            !host.is_empty() && parts.next().is_some_and(name) && parts.all(escaped)
        }
    }
}

/// §9.1: `token *( ";" token [ "=" ( token / quoted token ) ] )`, white space anywhere between.
pub fn are_extensions(lines: &[&[u8]]) -> bool {
    let elements = || lines.iter().flat_map(|line| split(line, b",")).map(trim);
    let unquoted = |value: &[u8]| match value {
        // Only what could have stood without quotes, a backslash ahead of any of it.
        [b'"', quoted @ .., b'"'] => {
            let parts = split(quoted, b"\\");
            parts[0].iter().chain(parts[1..].concat().iter()).all(|byte| is_token(&[*byte]))
                && !quoted.is_empty()
                && parts[1..].iter().all(|part| !part.is_empty())
        }
        value => is_token(value),
    };
    let parameter = |text: &[u8]| match text.iter().position(|byte| *byte == b'=') {
        Some(at) => is_token(trim(&text[..at])) && unquoted(trim(&text[at + 1..])),
        None => is_token(text),
    };
    let extension = |element: &[u8]| {
        let parts = split(element, b";");
        is_token(trim(parts[0])) && parts[1..].iter().all(|part| parameter(trim(part)))
    };
    elements().filter(|element| !element.is_empty()).all(extension)
}

/// §4.2.2 item 5: the 101, and nothing in it that was not asked for.
fn assert_accepts(handshake: Handshake, head: &RequestHead, key: &[u8], request: &Request<'_>) {
    let accept = Accept::new().select_subprotocol(head, &["chat", "b"]);
    let reply = handshake.encode(head, &accept, None).expect("only what was offered");
    let mut wanted = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        derive_accept_key(key)
    );
    // Item 4, /subprotocol/: the first of the client's that we know.
    let offers =
        request.headers.iter().filter(|it| it.0.eq_ignore_ascii_case(b"Sec-WebSocket-Protocol"));
    let mut offers = offers.flat_map(|line| split(line.1, b",")).map(trim);
    if let Some(chosen) = offers.find(|offer| [&b"chat"[..], b"b"].contains(offer)) {
        wanted += &format!("Sec-WebSocket-Protocol: {}\r\n", str::from_utf8(chosen).unwrap());
    }
    assert_eq!(
        reply.escape_ascii().to_string(),
        (wanted + "\r\n").as_bytes().escape_ascii().to_string()
    );
}

/// A refusal is an error of HTTP that closes, with its length, and with what §4.4 wants.
fn assert_refusal(refusal: HandshakeError) {
    let reply = String::from_utf8(refusal.response().encode(None).unwrap()).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let code: u16 = head[9..12].parse().unwrap();
    assert!(head.starts_with("HTTP/1.1 4") || code == 505, "{head}");
    assert!(head.contains("\r\nConnection: close"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    let version =
        matches!(refusal, HandshakeError::MissingVersion | HandshakeError::UnsupportedVersion);
    let told = head.contains("\r\nSec-WebSocket-Version: 13\r\n");
    assert!(told || (code != 426 && !version), "{head}");
}

/// §4.2.2 item 4, §10.2.
fn assert_origin(head: &RequestHead, request: &Request<'_>) {
    let origins = request.headers.iter().filter(|it| it.0.eq_ignore_ascii_case(b"Origin"));
    let origins: Vec<&[u8]> = origins.map(|line| line.1).collect();
    let listed = check_origin(head, &[ORIGIN.to_owned()]).is_ok();
    let hosts = request.headers.iter().filter(|it| it.0.eq_ignore_ascii_case(b"Host"));
    let host = request.authority.or(hosts.map(|line| line.1).next()).unwrap_or(b"");
    assert_eq!(
        listed,
        match origins[..] {
            [] => true,
            [origin] => is_let_in(origin, host),
            _ => false,
        },
        "{origins:?} at {}",
        host.escape_ascii()
    );
    assert_eq!(check_origin(head, &[]).is_ok(), origins.len() <= 1);
}

/// The one on the list; and the page of this host, if nobody else can have its name.
fn is_let_in(origin: &[u8], host: &[u8]) -> bool {
    let [origin, host] = [origin, host].map(|it| String::from_utf8_lossy(it).to_ascii_lowercase());
    let (default, site) = match origin.split_once("://") {
        Some(("https", site)) => ("443", site),
        Some(("http", site)) => ("80", site),
        _ => return false,
    };
    // Host and port, both in one form.
    let whole = |site: &str| {
        let end = site.rfind(']').map_or(0, |at| at + 1);
        let (name, port) = match site[end..].split_once(':') {
            Some((rest, port)) => (&site[..end + rest.len()], port),
            None => (site, ""),
        };
        let address = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let address = address.and_then(|it| it.parse::<std::net::Ipv6Addr>().ok());
        let port = if port.is_empty() { default } else { port };
        (address.map_or(name.to_owned(), |it| it.to_string()), port.parse::<u16>().ok())
    };
    let (name, port) = whole(site);
    let last = name.rsplit('.').next().unwrap_or("");
    let numeric = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    let numeric = numeric && !site.starts_with('[');
    let ipv4 = name.parse::<std::net::Ipv4Addr>().is_ok();
    if !is_host(site.as_bytes()) || name.contains(['%', '*', ';']) || (numeric && !ipv4) {
        return false;
    }
    let listed = default == "443" && (&*name, port) == ("good.example", Some(443));
    let bound = default == "443" || ipv4 || site.starts_with('[') || !name.contains('.');
    let sure = bound || name.ends_with(".localhost") || name == "good.example";
    listed || (is_host(host.as_bytes()) && whole(&host) == (name.clone(), port) && sure)
}

/// The request that a fuzzer's bytes stand for.
fn stream(data: &[u8]) -> Vec<u8> {
    let mut bytes = Bytes::new(data);
    if bytes.byte() & 1 == 0 { bytes.rest().to_vec() } else { changed(&mut bytes) }
}

const METHODS: &str = "GET|get|POST|HEAD|GETT|OPTIONS|PRI";
const TARGETS: &str = "/|/chat?a=b#c|ws://a/b|HTTPS://[::1]:80?c|http://u@a|http:///|*|a:80|\
    http://a,b/|/é|ws://a:99999|wss:a|http://%41";
const VERSIONS: &str = "HTTP/1.1|HTTP/1.2|HTTP/1.0|HTTP/2.0|http/1.1|HTTP/1.1 |HTTP/1.10||HTTP/1.";
const NAMES: &str = "Host|Upgrade|Connection|Sec-WebSocket-Key|Sec-WebSocket-Version|Origin|\
    Sec-WebSocket-Protocol|Sec-WebSocket-Extensions|Content-Length|Transfer-Encoding|Expect|X-Any|\
    Host ||origin|UPGRADE";
const VALUES: &str = "a|a:80|a:65536|[::1]:9001|[::|a, b|u@a|%41%|%4g.x||a:|[1::2:3:4:5:6:7]|\
    websocket|h2c, WebSocket|websocket/13|websocket2|x-websocket|a/b/c|\
    Upgrade|keep-alive, UPGRADE|x-upgrade|upgrade-x|upgrade;q=1|up grade|\
    dGhlIHNhbXBsZSBub25jZQ==|AQIDBAUGBwgJCgsMDQ4PEC==|dGhlIHNhbXBsZSBub25jZQ=|\
    AAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAA|AAAAAAAAAAAAAAAAAAAAAA|\
    ----____----____----_w==|dGhlIHNhbXBsZSBub25j=Q==|====AAAAAAAAAAAAAAAAAA==|\
    13| 13\t|013|13, 8|8|+13|https://good.example|null|https://bad.example|\
    HTTPS://Good.example:443|http://good.example|good.example|http://a|http://[0::1]:9001|\
    chat, superchat|b,a,b|b\t,chat |a b|,|a;b=c|a; b=\"c\", d|a; b=\"|a; b=\"\\c\\|a;|a; b=\"\"|\
    a = b|a; b = \"\\c\"|0|00|5|0, 0|chunked|100-continue|100-Continue, ,|café";

/// A good request with some changes.
fn changed(bytes: &mut Bytes<'_>) -> Vec<u8> {
    fn pick<'a>(bytes: &mut Bytes<'_>, from: &'a str) -> &'a str {
        bytes.pick(&from.split('|').collect::<Vec<_>>())
    }
    let mut line = ["GET", "/", "HTTP/1.1"];
    let mut headers = vec![
        ("Host", "a"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
    ];
    for _ in 0..bytes.below(6) {
        let (what, at) = (bytes.byte(), bytes.below(headers.len() + 1));
        match (what % 8, headers.get_mut(at)) {
            (0, _) => line[0] = pick(bytes, METHODS),
            (1, _) => line[1] = pick(bytes, TARGETS),
            (2, _) => line[2] = pick(bytes, VERSIONS),
            (3, Some(_)) => drop(headers.remove(at)),
            (4 | 5, Some(header)) => header.1 = pick(bytes, VALUES),
            (6, Some(header)) => header.0 = pick(bytes, NAMES),
            _ => headers.insert(at, (pick(bytes, NAMES), pick(bytes, VALUES))),
        }
    }
    let mut text = line.join(" ").into_bytes();
    for (name, value) in headers {
        text.extend_from_slice(format!("\r\n{name}: {value}").as_bytes());
    }
    text.extend_from_slice(b"\r\n\r\n");
    // And a byte or two of it.
    for _ in 0..bytes.below(3) {
        let at = usize::from(bytes.short()) % text.len();
        match bytes.below(3) {
            0 => text[at] = bytes.byte(),
            1 => text.insert(at, bytes.byte()),
            _ => drop(text.remove(at)),
        }
    }
    text
}
