//! The program over TLS: a certificate of its own, what it tells of handshakes, what either side
//! gets wrong.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;

use barews::rustls::crypto::ring;
use barews::rustls::pki_types::CertificateDer;
use barews::rustls::pki_types::pem::PemObject;
use barews::rustls::{ALL_VERSIONS, ClientConfig, RootCertStore};

use crate::common::client::Response;
use crate::common::stream::Stream;
use crate::common::tls::{TlsClient, session};
use crate::common::{Binary, Frame, PATIENCE, RawClient, Request, TEXT, command, frame, r0};
use crate::os_edges::complaint;
use crate::plain::metric;

/// The settings of a client that trusts these certificates, and none others.
pub fn trusting(pem: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.expect("PEM")).expect("a certificate");
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(ALL_VERSIONS).expect("versions");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Connects to the program as `localhost`.
pub fn connect(binary: &Binary, config: &Arc<ClientConfig>) -> RawClient {
    RawClient::over(Stream::Tls(Box::new(handshake(binary, config))))
}

/// The same as a session, which may have failed.
pub fn handshake(binary: &Binary, config: &Arc<ClientConfig>) -> TlsClient {
    let mut tcp = TcpStream::connect_timeout(&binary.addr, PATIENCE).expect("connect");
    tcp.set_read_timeout(Some(PATIENCE)).expect("set_read_timeout");
    let mut conn = session(config);
    let _ = conn.complete_io(&mut tcp);
    TlsClient { tcp, conn }
}

/// Opens a WebSocket, and has a message come back.
pub fn echo(client: &mut RawClient) {
    client.send(r0().bytes());
    client.expect_upgrade();
    say(client);
}

/// Has a message come back.
pub fn say(client: &mut RawClient) {
    client.send(frame(TEXT, "a"));
    client.expect(&Frame::text("a"));
}

pub fn get(binary: &Binary, config: &Arc<ClientConfig>, target: &str) -> Response {
    let mut client = connect(binary, config);
    client.send(Request::new(format!("GET {target} HTTP/1.1")).add("Host: localhost").bytes());
    let response = client.read_response();
    client.expect_eof();
    response
}

/// The metrics, once they tell this.
pub fn metrics_once(binary: &Binary, config: &Arc<ClientConfig>, name: &str, value: f64) -> String {
    let start = std::time::Instant::now();
    loop {
        let text = String::from_utf8(get(binary, config, "/metrics").body).expect("text");
        let is_told = text.lines().any(|line| line.starts_with(&format!("{name} ")));
        if is_told && metric(&text, name) == value {
            return text;
        }
        assert!(start.elapsed() < PATIENCE, "{name} is not {value} in:\n{text}");
    }
}

/// Starts a program that speaks TLS, and reads its first lines up to the one with its address.
pub fn serve(args: &[&str]) -> (Binary, Vec<String>) {
    start(command(&[args, &["127.0.0.1:0"]].concat()))
}

pub fn start(mut command: Command) -> (Binary, Vec<String>) {
    let mut binary = Binary::start(&mut command);
    let mut lines = Vec::new();
    let addr = loop {
        let line = binary.line();
        if let Some(url) = line.strip_prefix("barews: listening on wss://") {
            let (addr, hint) = url.split_once(" -- open https://").expect("two URLs");
            let addr = addr.strip_suffix(Binary::engine_shown()).unwrap_or(addr);
            assert!(hint.starts_with(&format!("{addr}/ or run: websocat ")), "{hint}");
            break addr.parse().expect("an address");
        }
        lines.push(line);
    };
    binary.addr = addr;
    (binary, lines)
}

/// A program that has made its own certificate, which it has printed.
pub fn self_signed(args: &[&str]) -> (Binary, String, Vec<String>) {
    let (mut binary, lines) = serve(&[&["--tls-self-signed"], args].concat());
    let pem = binary.printed("-----END CERTIFICATE-----");
    (binary, pem, lines)
}

#[test]
fn a_certificate_of_its_own() {
    let (binary, pem, lines) = self_signed(&[]);
    let start = "barews: self-signed certificate for localhost, 127.0.0.1, ::1 until 20";
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with(start), "{lines:?}");
    let (_, fingerprint) = lines[0].split_once(", SHA-256 ").expect("a fingerprint");
    let (fingerprint, pin) = fingerprint.split_once(", pin ").expect("a pin");
    let digits: Vec<_> = fingerprint.split(':').collect();
    assert!(digits.len() == 32 && digits.iter().all(|byte| byte.len() == 2), "{fingerprint}");
    assert_eq!((pin.len(), &pin[43..]), (44, "="));

    let config = trusting(&pem);
    let response = get(&binary, &config, "/cert.pem");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("application/pem-certificate-chain"));
    assert_eq!(String::from_utf8(response.body), Ok(pem));
    // RFC 6797: the next program on this port may speak no TLS.
    let page = get(&binary, &config, "/");
    assert_eq!((page.status, page.header("strict-transport-security")), (200, None));

    let mut client = connect(&binary, &config);
    echo(&mut client);
    client.finish();
    let handshakes = "barews_tls_handshakes_total{version=\"TLSv1.3\"}";
    let text = metrics_once(&binary, &config, handshakes, 4.0);
    let expiry = metric(&text, "barews_tls_certificate_expiry_timestamp_seconds");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let days = (expiry - now.as_secs_f64()) / 86_400.0;
    assert!((1.0..=398.0).contains(&days), "{days}");
    binary.stop();
}

#[test]
fn a_certificate_is_for_where_it_listens_or_for_the_names_given() {
    let names = |lines: &[String]| {
        let (_, names) = lines[0].split_once("certificate for ").expect("a line");
        names.split_once(" until ").expect("a date").0.to_owned()
    };
    let args = ["--tls-self-signed", "--listen", "localhost:0", "--listen", ":0"];
    let (_binary, lines) = serve(&args);
    assert_eq!(names(&lines), "localhost, 127.0.0.1, ::1");
    let (_binary, lines) = serve(&["--tls-self-signed", "--listen", "127.0.0.2:0"]);
    assert_eq!(names(&lines), "localhost, 127.0.0.1, ::1, 127.0.0.2");
    let (mut binary, lines) = serve(&["--tls-self-signed=a.example,10.0.0.1"]);
    assert_eq!(names(&lines), "a.example, 10.0.0.1");
    // A client that means `localhost` has another server in mind.
    let config = trusting(&binary.printed("-----END CERTIFICATE-----"));
    assert!(handshake(&binary, &config).conn.is_handshaking());
    assert!(binary.line_with("TLS: ").contains(" refused: TLS: "));
}

#[test]
fn headers_tell_what_was_agreed_on() {
    let (binary, pem, _) = self_signed(&[]);
    let mut config = ClientConfig::clone(&trusting(&pem));
    for (alpn, shown) in [(&[][..], "null"), (&[&b"h2"[..], b"http/1.1"], "\"http/1.1\"")] {
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let mut client = connect(&binary, &Arc::new(config.clone()));
        client.send(r0().target("/headers").bytes());
        client.expect_upgrade();
        let told = client.read_frame().expect("a message").payload;
        let told = String::from_utf8(told).expect("text");
        let start = "\"tls\":{\"version\":\"TLSv1.3\",\"cipher\":\"TLS_";
        assert!(told.contains(start), "{told}");
        assert!(
            told.contains(&format!("\"server_name\":\"localhost\",\"alpn\":{shown},")),
            "{told}"
        );
        client.finish();
    }
    config.alpn_protocols = vec![b"h2".to_vec()];
    let refused = handshake(&binary, &Arc::new(config));
    assert!(refused.conn.is_handshaking());
    let plain = Binary::serve(&[]);
    let mut client = RawClient::connect(plain.addr);
    client.send(r0().target("/headers").bytes());
    client.expect_upgrade();
    let told = client.read_frame().expect("a message").payload;
    assert!(String::from_utf8(told).expect("text").contains("\"tls\":null,"));
}

#[test]
fn a_log_in_json_tells_of_tls() {
    let mut command = command(&["--log=json", "--tls-self-signed", "127.0.0.1:0"]);
    let mut binary = Binary::start(&mut command);
    let line = binary.line();
    let names =
        r#","event":"certificate","names":["localhost","127.0.0.1","::1"],"not_before":"20"#;
    assert!(line.contains(names) && line.contains("\",\"sha256\":\""), "{line}");
    let line = binary.line();
    let addr = line.split_once(r#""event":"listening","address":""#).expect(&line).1;
    let (addr, rest) = addr.split_once(r#"","engine":""#).expect(&line);
    let url = rest.split_once(r#"","tls":true,"url":""#).expect(&line).1;
    assert_eq!(url, format!("https://{addr}/\"}}"));
    binary.addr = addr.parse().expect("an address");
    let config = trusting(&binary.printed("-----END CERTIFICATE-----"));
    let mut client = connect(&binary, &config);
    echo(&mut client);
    let line = binary.line();
    assert!(line.contains(r#""event":"open""#) && line.contains(r#""tls":"TLSv1.3""#), "{line}");
    client.finish();
    assert!(handshake(&binary, &trusting("")).conn.is_handshaking());
    let line = binary.line_with("tls_failed");
    assert!(line.contains(r#""event":"tls_failed","peer":"127.0.0.1:"#), "{line}");
    assert!(line.contains("UnknownCA") && line.ends_with(r#""left_out":0}"#), "{line}");
}

#[test]
fn who_does_not_trust_it_is_told_of_now_and_then() {
    let (mut binary, pem, _) = self_signed(&[]);
    let stranger = trusting("");
    for _ in 0..30 {
        assert!(handshake(&binary, &stranger).conn.is_handshaking());
    }
    let config = trusting(&pem);
    let reason = "barews_refused_total{reason=\"tls_alert_unknown_ca\"}";
    metrics_once(&binary, &config, reason, 30.0);
    for _ in 0..10 {
        let line = binary.line();
        assert!(line.starts_with("barews: 127.0.0.1:"), "{line}");
        let what = " refused: TLS: the peer does not trust our certificate (UnknownCA)";
        assert!(line.ends_with(what), "{line}");
    }
    // No more of them, until ten seconds have passed.
    assert_eq!(binary.stop(), ["barews: signal 15: shutting down"]);
}

#[test]
fn http_where_tls_was_due() {
    let (mut binary, pem, _) = self_signed(&[]);
    let mut client = RawClient::connect(binary.addr);
    client.send(Request::new("GET / HTTP/1.1").add("Host: localhost").bytes());
    let response = client.expect_refusal(400);
    let body = String::from_utf8(response.body).expect("text");
    assert!(body.contains("wss://") && body.contains("https://"), "{body}");
    let line = binary.line();
    assert!(line.contains(" refused: ") && line.contains("use wss:// or https://"), "{line}");
    metrics_once(&binary, &trusting(&pem), "barews_refused_total{reason=\"plain_http\"}", 1.0);
}

#[test]
fn tls_where_http_was_due() {
    let mut binary = Binary::serve(&[]);
    assert!(handshake(&binary, &trusting("")).conn.is_handshaking());
    let line = binary.line();
    assert!(line.contains(" refused: ") && line.contains("TLS"), "{line}");
    let text = crate::plain::metrics_at_rest(&binary);
    assert_eq!(metric(&text, "barews_refused_total{reason=\"tls_client_hello\"}"), 1.0);
    // There is no certificate that could expire.
    assert!(!text.contains("tls_certificate") && !text.contains("tls_reloads"), "{text}");
}

#[test]
fn what_does_not_go_together() {
    for (args, wrong) in [
        (&["--tls-cert", "a"][..], "--tls-cert needs --tls-key, the file of the certificate's"),
        (&["--tls-key", "a"], "--tls-key needs --tls-cert, the file of the certificate that"),
        (&["--tls-self-signed", "--tls-cert", "a", "--tls-key", "b"], "--tls-self-signed makes a"),
        (&["--tls-self-signed", "--tls-key", "b"], "--tls-self-signed makes a certificate, and"),
        (&["--tls-self-signed=a b"], "--tls-self-signed: \"a b\" is not 1, 0, or names and"),
        (&["--tls-cert", "", "--tls-key", "b"], "--tls-cert: \"\" is not the name of a file"),
    ] {
        let told = complaint(&mut command(&[args, &["127.0.0.1:0"]].concat()));
        assert!(told.starts_with(&format!("barews: {wrong}")), "{told}");
    }
    let mut variable = command(&["127.0.0.1:0"]);
    let told = complaint(variable.env("BAREWS_TLS_CERT", "a"));
    assert!(told.starts_with("barews: --tls-cert needs --tls-key"), "{told}");
    let mut variable = command(&["127.0.0.1:0"]);
    variable.env("BAREWS_TLS_SELF_SIGNED", "a.example");
    let (binary, lines) = start(variable);
    assert!(lines[0].contains("certificate for a.example until "), "{lines:?}");
    binary.stop();
    let version = command(&["--version"]).output().expect("run").stdout;
    let version = String::from_utf8(version).expect("text");
    assert!(version.contains("tls)"), "{version}");
}

/// A certificate that cannot be printed can still be fetched.
#[cfg(target_os = "linux")]
#[test]
fn standard_output_may_be_full_or_gone() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let mut to_full = command(&["--tls-self-signed", "127.0.0.1:0"]);
    to_full.stdout(full);
    let (binary, lines) = start(to_full);
    assert!(lines[1].starts_with("barews: cannot print the certificate: "), "{lines:?}");
    binary.stop();
    let closed = crate::os_edges::after("exec >&-", &["--tls-self-signed", "127.0.0.1:0"]);
    start(closed).0.stop();
}

/// A Unix-domain socket speaks it too.
#[cfg(unix)]
#[test]
fn a_unix_socket() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    let path = std::env::temp_dir().join(format!("barews-tls-{}.sock", std::process::id()));
    let addr = format!("unix:{}", path.display());
    let mut binary = Binary::start(&mut command(&["--tls-self-signed", &addr]));
    let line = binary.line_with("listening");
    let run = format!("curl --insecure --unix-socket {} https://localhost/", path.display());
    let engine = Binary::engine_shown();
    assert_eq!(line, format!("barews: listening on {addr} with TLS{engine} -- run: {run}"));
    let config = trusting(&binary.printed("-----END CERTIFICATE-----"));
    let mut stream = UnixStream::connect(&path).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("set_read_timeout");
    let mut conn = session(&config);
    conn.writer().write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("write");
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        conn.complete_io(&mut stream).expect("TLS");
        let _ = conn.reader().read_to_end(&mut answer);
    }
    binary.stop();
}

/// With nothing to be read anew, SIGHUP is what it is without TLS.
#[cfg(target_os = "linux")]
#[test]
fn sighup_ends_what_has_made_its_own() {
    let mut heard = Command::new("env");
    heard.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_barews"), "--tls-self-signed"]);
    heard.arg("127.0.0.1:0").stdout(Stdio::null()).stderr(Stdio::piped());
    let (binary, _) = start(heard);
    binary.signal("HUP");
    assert_eq!(binary.wait().0.code(), Some(0));
}
