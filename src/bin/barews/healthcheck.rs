//! `barews healthcheck`: whether a server is up, for containers that have nothing else to ask with.
//!
//! One request for `/healthz`, of whose answer the first line counts. A name that is looked up, a
//! connection, TLS, an answer: each may hang in the system in its own way, so all of it is on a thread
//! that is waited for so long and no longer. The program ends then, and the thread with it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use crate::cli::Options;
use crate::log::{escape, log_error};
use crate::os::address::Address;
use crate::os::connect::Stream;
use crate::os::reach::from_here;
use crate::tls;

/// What it may take in all.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How much of an answer is read for its first line, in bytes.
const MAX_LINE: usize = 1 << 10;

const RIGHT: &str = "http://HOST:PORT/PATH, https://HOST:PORT/PATH or unix:PATH";

/// Whom to ask for what.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    addr: Address,
    tls: bool,
    /// As `Host` has it.
    host: String,
    path: String,
}

/// Asks the server of this URL, or else the one that would be started with these options. It ends with
/// 0, with 1 and a line on standard error, or with 2 if there is nobody to ask.
pub fn run(url: Option<&str>, options: &Options) -> ExitCode {
    let target = match url {
        Some(url) => Target::parse(url, options.tls.is_on()),
        None => Target::of(options),
    };
    let target = match target {
        Ok(target) => target,
        Err(wrong) => {
            log_error(&format!("healthcheck: {wrong}; see barews --help healthcheck"));
            return ExitCode::from(2);
        }
    };
    let shown = target.to_string();
    let (sender, answers) = sync_channel(1);
    let asking = thread::Builder::new().spawn(move || {
        let _ = sender.send(target.ask());
    });
    let answer = match asking {
        Ok(_) => answers
            .recv_timeout(TIMEOUT)
            .unwrap_or_else(|_| Err(format!("no answer within {} seconds", TIMEOUT.as_secs()))),
        Err(error) => Err(format!("cannot start a thread: {error}")),
    };
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            log_error(&escape::line(&format!("{shown}: {wrong}")));
            ExitCode::FAILURE
        }
    }
}

impl Target {
    /// Reads a URL; an address alone is one of a server with TLS or without.
    fn parse(url: &str, tls: bool) -> Result<Self, String> {
        let is_not = || format!("{url:?} is not {RIGHT}");
        let (tls, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Self::at(Address::parse(url).map_err(|_| is_not())?, tls),
        };
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let is_plain = |c: char| c.is_ascii_graphic() && c != '#';
        if host.contains('@') {
            // It may have a password in it.
            return Err(format!("a URL with a user in it is not {RIGHT}"));
        }
        if host.is_empty() || !rest.chars().all(is_plain) {
            return Err(is_not());
        }
        let is_port = |(_, port): (&str, &str)| port.bytes().all(|byte| byte.is_ascii_digit());
        let addr = match host.rsplit_once(':').is_some_and(is_port) {
            true => host.to_owned(),
            false => format!("{host}:{}", if tls { 443 } else { 80 }),
        };
        let Ok(addr @ Address::Tcp(_)) = Address::parse(&addr) else { return Err(is_not()) };
        let path = match path {
            "" | "/" => "/healthz".to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            query => format!("/{query}"),
        };
        Ok(Self { addr, tls, host: host.to_owned(), path })
    }

    /// The server that would be started with these options: the listener for those who run it, since
    /// that answers when there is no place left, or else the first of all.
    fn of(options: &Options) -> Result<Self, String> {
        match (options.admin.first(), options.listen.first()) {
            (Some(admin), _) => Self::at(admin.clone(), false),
            (None, Some(addr)) => Self::at(addr.clone(), options.tls.is_on()),
            (None, None) => Self::at(Address::default(), options.tls.is_on()),
        }
    }

    /// What listens there, as it is reached from here.
    fn at(addr: Address, tls: bool) -> Result<Self, String> {
        let addr = match addr {
            Address::Everywhere(port) => Address::Tcp(format!("localhost:{port}")),
            Address::Tcp(addr) => Address::Tcp(match addr.parse::<SocketAddr>() {
                Ok(addr) => from_here(addr).to_string(),
                Err(_) => addr,
            }),
            unix => unix,
        };
        let host = match &addr {
            Address::Tcp(addr) if addr.ends_with(":0") => {
                return Err("port 0 is any free one: name the URL".to_owned());
            }
            Address::Tcp(addr) => addr.clone(),
            _ => "localhost".to_owned(),
        };
        Ok(Self { addr, tls, host, path: "/healthz".to_owned() })
    }

    /// Whether the answer is 200; if not, what it is.
    fn ask(&self) -> Result<(), String> {
        let stream = self.addr.connect().map_err(|error| error.to_string())?;
        let mut stream = if self.tls { tls::unverified(stream, &self.host)? } else { stream };
        let line = self.exchange(&mut *stream).map_err(|error| error.to_string())?;
        match line.strip_prefix("HTTP/1.").and_then(|rest| rest.split_once(' ')) {
            Some((_, status)) if status.split(' ').next() == Some("200") => Ok(()),
            Some((_, status)) => Err(format!("answered {status}")),
            None => Err(format!("the answer is no HTTP: {line:?}")),
        }
    }

    /// Sends the request; the first line of the answer, as far as there is one.
    fn exchange(&self, stream: &mut dyn Stream) -> io::Result<String> {
        let Self { path, host, .. } = self;
        let agent = concat!("barews/", env!("CARGO_PKG_VERSION"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        stream.flush()?;
        let mut line = Vec::new();
        let mut buf = [0; MAX_LINE];
        while line.len() < MAX_LINE && !line.contains(&b'\n') {
            match stream.read(&mut buf) {
                Ok(0) => break,
                Ok(len) => line.extend_from_slice(&buf[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(String::from_utf8_lossy(line).trim_end().to_owned())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { addr, tls, host, path } = self;
        match addr {
            Address::Tcp(_) if *tls => write!(f, "https://{host}{path}"),
            Address::Tcp(_) => write!(f, "http://{host}{path}"),
            unix => write!(f, "{path} on {unix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shown(url: &str, tls: bool) -> String {
        Target::parse(url, tls).unwrap().to_string()
    }

    #[test]
    fn urls() {
        for (url, tls, right) in [
            ("http://a:1", false, "http://a:1/healthz"),
            ("http://a/", true, "http://a/healthz"),
            ("https://[::1]:2/b?c", false, "https://[::1]:2/b?c"),
            ("http://a?b", false, "http://a/?b"),
            ("127.0.0.1:1", true, "https://127.0.0.1:1/healthz"),
            ("0.0.0.0:1", false, "http://127.0.0.1:1/healthz"),
            ("[::]:1", false, "http://[::1]:1/healthz"),
            (":1", false, "http://localhost:1/healthz"),
        ] {
            assert_eq!(shown(url, tls), right, "{url}");
        }
        let ports = [("http://a", "a:80"), ("https://[::1]", "[::1]:443"), ("http://b:1", "b:1")];
        for (url, addr) in ports {
            let addr = Address::Tcp(addr.to_owned());
            assert_eq!(Target::parse(url, false).unwrap().addr, addr);
        }
        for wrong in [
            "",
            "a",
            "http://",
            "http:///a",
            "http://a@b",
            "http://a:x",
            "http://a b",
            "http://a/#b",
            "http://a:65536",
            "http://::1",
            "ws://a:1",
            "http://\r\n",
        ] {
            assert!(
                Target::parse(wrong, false).is_err_and(|told| told.ends_with(RIGHT)),
                "{wrong}"
            );
        }
        assert!(Target::parse("a:0", false).is_err_and(|told| told.contains("any free one")));
    }

    #[cfg(unix)]
    #[test]
    fn sockets() {
        assert_eq!(shown("unix:/a", false), "/healthz on unix:/a");
        assert_eq!(Target::parse("unix:/a", true).unwrap().host, "localhost");
    }

    #[test]
    fn whom_the_options_name() {
        let mut options = Options::default();
        let shown = |options: &Options| Target::of(options).unwrap().to_string();
        assert_eq!(shown(&options), "http://127.0.0.1:9001/healthz");
        options.listen = vec![Address::Everywhere(1), Address::Everywhere(2)];
        assert_eq!(shown(&options), "http://localhost:1/healthz");
        options.admin.push(Address::Tcp("0.0.0.0:3".to_owned()));
        assert_eq!(shown(&options), "http://127.0.0.1:3/healthz");
    }
}
