//! Who is it? A session cookie, as browsers send it, or a bearer token, as programs do. Who has neither
//! is refused, in JSON; the handler is told who it is.
//!
//! ```sh
//! cargo run --example auth
//! npx wscat -H 'Authorization: Bearer token-of-ann' -c ws://127.0.0.1:9001/
//! npx wscat -H 'Cookie: session=session-of-bob' -c ws://127.0.0.1:9001/
//! curl -i -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
//!     -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' http://127.0.0.1:9001/
//! ```

use std::collections::HashMap;
use std::env;

use barews::{Accept, BoxError, Config, Connection, Reject, Request, Server, Status};

/// Where the page is that may use the cookie. A browser sends cookies along whoever's page opens the
/// connection, so without this list any page could talk in its visitors' names (§10.2).
const ORIGIN: &str = "https://example.com";

/// A user who has been recognised.
#[derive(Clone)]
struct User {
    name: String,
}

/// Stands for your database. Keys are long and random there, and end some day.
struct Users {
    sessions: HashMap<&'static str, User>,
    tokens: HashMap<&'static str, User>,
}

fn main() -> std::io::Result<()> {
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let config = Config { origins: vec![ORIGIN.to_owned()], ..Config::default() };
    let users = Users {
        sessions: HashMap::from([("session-of-bob", User { name: "Bob".to_owned() })]),
        tokens: HashMap::from([("token-of-ann", User { name: "Ann".to_owned() })]),
    };
    let server = Server::bind(addr)?
        .config(config)
        .on_upgrade(move |request| Ok(Accept::new().attach(users.recognise(request)?)));
    eprintln!("listening on ws://{}", server.local_addr().expect("bound to an address"));
    server.run(serve)
}

fn serve(mut conn: Connection) -> Result<(), BoxError> {
    let user = conn.attached::<User>().cloned().ok_or("no user")?;
    conn.send(&format!("Hello, {}!", user.name))?;
    let mut buf = Vec::new();
    while let Some(message) = conn.recv(&mut buf)? {
        conn.send(message)?;
    }
    Ok(())
}

impl Users {
    fn recognise(&self, request: &Request) -> Result<User, Reject> {
        let user = match (request.bearer(), request.cookie("session")) {
            (Some(token), _) => self.tokens.get(token),
            (None, Some(session)) => self.sessions.get(session),
            (None, None) => None,
        };
        user.cloned().ok_or_else(|| {
            Reject::json(Status::UNAUTHORIZED, r#"{"error": "unauthorized"}"#)
                .header("WWW-Authenticate", "Bearer")
        })
    }
}
