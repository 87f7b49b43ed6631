//! The consent to an upgrade.

use std::any::Any;
use std::fmt;

use super::attachments::Attachments;
use super::lines::{InvalidResponse, Names, push_headers, push_line, status_line};
use super::status::Status;
use crate::http::grammar;
use crate::http::head::RequestHead;

/// The consent to an upgrade: which subprotocol was chosen, and what else the 101 shall say.
///
/// Extensions are negotiated by the server: without the feature `deflate` it declines them all
/// (§9.1).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Accept {
    protocol: Option<String>,
    headers: Vec<(String, String)>,
    attachments: Attachments,
    hijacked: bool,
    #[cfg(feature = "deflate")]
    uncompressed: bool,
}

impl Accept {
    /// Accepts without a subprotocol.
    pub fn new() -> Accept {
        Accept::default()
    }

    /// Chooses a subprotocol, which must be one that the client offered (§4.2.2 item 4).
    #[must_use]
    pub fn subprotocol(mut self, protocol: impl Into<String>) -> Accept {
        self.protocol = Some(protocol.into());
        self
    }

    /// Chooses the first subprotocol in the client's order of preference that is `supported`, or
    /// none if there is none (§4.1 item 10). Upper and lower case differ.
    #[must_use]
    pub fn select_subprotocol(mut self, head: &RequestHead, supported: &[&str]) -> Accept {
        self.protocol = head
            .header_list("Sec-WebSocket-Protocol")
            .find_map(|offer| supported.iter().find(|name| name.as_bytes() == offer))
            .map(|name| (*name).to_owned());
        self
    }

    /// Adds a header line to the 101. What is wrong with it comes out when the 101 is encoded.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Accept {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Has the connection carry a value of the application's own, such as who has logged in: one of
    /// each type, the last that was attached. [`Connection::attached`](crate::Connection::attached)
    /// gives it, both halves do, and so does the request that [`Server::on_error`](crate::Server::on_error)
    /// is called with. It lives as long as the connection and whoever holds a half of it.
    ///
    /// ```no_run
    /// use barews::{Accept, Response, Server, Status};
    ///
    /// #[derive(Clone)]
    /// struct User(String);
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let server = Server::bind("127.0.0.1:9001")?.on_upgrade(|request| match request.bearer() {
    ///     Some("opensesame") => Ok(Accept::new().attach(User("Ali".into()))),
    ///     _ => Err(Response::json(Status::UNAUTHORIZED, r#"{"error":"who are you?"}"#)
    ///         .header("WWW-Authenticate", "Bearer")),
    /// });
    /// server.run(|mut conn| {
    ///     // `on_upgrade` lets nobody in without.
    ///     let User(name) = conn.attached::<User>().cloned().expect("a user");
    ///     conn.send(&format!("hello {name}"))?;
    ///     Ok(())
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn attach<T: Any + Send + Sync>(mut self, value: T) -> Accept {
        self.attachments.insert(value);
        self
    }

    /// Has the server send no answer: the handler takes the bare stream out of its connection with
    /// [`Connection::into_stream`](crate::Connection::into_stream), and answers the request by itself.
    /// For a test server that gets the handshake wrong on purpose, and for what is no WebSocket.
    /// What else was chosen here goes nowhere but to [`attach`](Self::attach).
    ///
    /// The connection counts as open, but nothing can be received or sent on it: calls fail with
    /// [`Error::Closed`](crate::Error::Closed), and a server that shuts down sends it no Close. A
    /// handler that ends without an answer ends the stream without one. For those with an accept loop
    /// of their own there is [`Upgrade::into_stream`](crate::Upgrade::into_stream).
    ///
    /// ```no_run
    /// use std::io::Write;
    ///
    /// use barews::{Accept, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let server = Server::bind("127.0.0.1:9001")?.on_upgrade(|_| Ok(Accept::new().hijack()));
    /// server.run(|conn| {
    ///     // §4.1: a client must not go on without Sec-WebSocket-Accept.
    ///     let reply = b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    ///     Ok(conn.into_stream()?.write_all(reply)?)
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn hijack(mut self) -> Accept {
        self.hijacked = true;
        self
    }

    pub(crate) fn is_hijacked(&self) -> bool {
        self.hijacked
    }

    pub(crate) fn attachments(&self) -> &Attachments {
        &self.attachments
    }

    /// The subprotocol that was chosen.
    pub fn selected_subprotocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Whether permessage-deflate may be agreed on, if the client offers it and the server is
    /// configured to compress (RFC 7692). Default `true`.
    ///
    /// `false` is for a connection whose messages hold secrets beside text of an attacker's choice:
    /// their lengths, compressed, give the secrets away, encrypted or not (CRIME, BREACH).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compress(mut self, on: bool) -> Accept {
        self.uncompressed = !on;
        self
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn compresses(&self) -> bool {
        !self.uncompressed
    }

    /// The 101 that accepts the handshake of this head (§4.2.2 item 5), and these extensions.
    pub(crate) fn encode(
        &self,
        head: &RequestHead,
        accept_key: &str,
        extensions: Option<&str>,
    ) -> Result<Vec<u8>, InvalidResponse> {
        let mut bytes = status_line(Status::SWITCHING_PROTOCOLS);
        push_line(&mut bytes, "Upgrade", "websocket");
        push_line(&mut bytes, "Connection", "Upgrade");
        push_line(&mut bytes, "Sec-WebSocket-Accept", accept_key);
        if let Some(protocol) = &self.protocol {
            // §4.2.2 item 4, /subprotocol/: one of those in the client's handshake, or none.
            let mut offers = head.header_list("Sec-WebSocket-Protocol");
            if !offers.any(|offer| offer == protocol.as_bytes()) {
                return Err(InvalidResponse::SubprotocolNotOffered);
            }
            push_line(&mut bytes, "Sec-WebSocket-Protocol", protocol);
        }
        if let Some(extensions) = extensions {
            if !extensions.bytes().all(grammar::is_value_byte) {
                return Err(InvalidResponse::HeaderValue);
            }
            push_line(&mut bytes, "Sec-WebSocket-Extensions", extensions);
        }
        push_headers(&mut bytes, &self.headers)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Accept {
    /// Without the values of headers, which may set a cookie.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut accept = f.debug_struct("Accept");
        accept.field("subprotocol", &self.protocol).field("headers", &Names(&self.headers));
        accept.field("attached", &self.attachments).field("hijack", &self.hijacked);
        #[cfg(feature = "deflate")]
        accept.field("compress", &self.compresses());
        accept.finish()
    }
}
