//! Which Redis, and a connection to it.

use std::fmt;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{
    Client, Connection, ConnectionInfo, ErrorKind, ProtocolVersion, RedisError, ServerErrorKind,
    cmd,
};

/// How long a connection may take to open, and then each step of its start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A Redis, by its URL. Its password is in no text that this gives.
pub struct Target {
    info: ConnectionInfo,
    shown: String,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum Failure {
    /// It will not have us: to come again without another password is of no use.
    Refused(String),
    /// It is not there, or not now.
    Unreachable(String),
}

impl Target {
    /// Reads `redis://[USER:PASSWORD@]HOST[:PORT]`, or what else the client knows; or returns a line
    /// on what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let info: ConnectionInfo = text.parse().map_err(|error: RedisError| {
            let why = error.to_string();
            // The kind of the error behind the words is for programmers.
            let why = why.split(" - ").next().unwrap_or_default();
            format!("{:?} is not redis://[USER:PASSWORD@]HOST:PORT: {why}", masked(text))
        })?;
        let scheme = text.split_once("://").map_or("redis", |(scheme, _)| scheme);
        let shown = format!("{scheme}://{}", info.addr());
        let settings = info.redis_settings().clone();
        let settings = settings.set_protocol(ProtocolVersion::RESP2);
        let settings = settings.set_skip_set_lib_name();
        // What waits is sent together anyway; a beat must not wait for an acknowledgement.
        let tcp = TcpSettings::default().set_nodelay(true);
        Ok(Self { info: info.set_redis_settings(settings).set_tcp_settings(tcp), shown })
    }

    /// Opens a connection that has been let in and that answers.
    pub fn connect(&self) -> Result<Connection, Failure> {
        let connect = || {
            let client = Client::open(self.info.clone())?;
            let mut conn = client.get_connection_with_timeout(CONNECT_TIMEOUT)?;
            conn.set_read_timeout(Some(CONNECT_TIMEOUT))?;
            conn.set_write_timeout(Some(CONNECT_TIMEOUT))?;
            // Without a password nobody has asked yet whether it takes one.
            cmd("PING").exec(&mut conn)?;
            Ok(conn)
        };
        connect().map_err(|error: RedisError| {
            let code = error.code().unwrap_or_default();
            let refused = matches!(
                error.kind(),
                ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm)
            ) || matches!(code, "NOAUTH" | "WRONGPASS");
            let why = describe(&error);
            if refused { Failure::Refused(why) } else { Failure::Unreachable(why) }
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Unreachable(why) => f.write_str(why),
        }
    }
}

/// What went wrong, for a line of the log.
pub fn describe(error: &RedisError) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    if error.kind() == ErrorKind::AuthenticationFailed {
        return "it does not know this user or password".to_owned();
    }
    let text = error.to_string();
    // What an end of the stream in the middle of nothing is called.
    match error.is_connection_dropped() && text.contains("unexpected end of file") {
        true => "it has closed the connection".to_owned(),
        false => text,
    }
}

/// A URL without its user and password.
fn masked(text: &str) -> String {
    let Some((before, host)) = text.rsplit_once('@') else { return text.to_owned() };
    let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
    format!("{scheme}://…@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost:6379"),
            ("redis://user:s3cret@a.example:7000/3", "redis://a.example:7000"),
            ("redis://:s3cret@[::1]:7000", "redis://::1:7000"),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((target.to_string(), format!("{target:?}")), (shown.into(), shown.into()));
        }
        for text in ["http://user:s3cret@a", "user:s3cret@a", "redis://user:s3cret@a:x"] {
            let wrong = Target::parse(text).unwrap_err();
            assert!(wrong.contains("…@a") && !wrong.contains("s3cret"), "{wrong}");
            assert!(wrong.contains(" is not redis://[USER:PASSWORD@]HOST:PORT: "), "{wrong}");
        }
    }
}
