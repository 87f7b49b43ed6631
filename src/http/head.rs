//! A request head that has been read: its bytes, and where in them each part stands.
//!
//! A head is kept for the life of its connection, and most connections are idle. So it is two
//! allocations of exactly the size needed: the bytes as they came, and 12 bytes of positions a
//! header. Everything else, such as path and query, is found again when it is asked for.

use std::borrow::Cow;
use std::{fmt, str};

use super::grammar;

mod values;

/// A request head that has been read to its end and follows the grammar.
///
/// It says nothing about what the request means: [`check`](super::check) does.
#[derive(Clone)]
pub struct RequestHead {
    /// Every byte of the head as it was received.
    pub(super) bytes: Box<[u8]>,
    pub(super) fields: Box<[Field]>,
    /// Where the method begins. It ends at the one space ahead of the target.
    pub(super) method: u32,
    pub(super) minor_version: u8,
    pub(super) target: Span,
}

impl RequestHead {
    /// The method as received, a token: upper and lower case differ (RFC 9110 §9.1).
    pub fn method(&self) -> &str {
        self.ascii(Span { start: self.method, end: self.target.start - 1 })
    }

    /// The request target as received: `/path?query`, an absolute URI, or the `*` of `OPTIONS *`
    /// (RFC 9112 §3.2.4).
    pub fn target(&self) -> &str {
        self.ascii(self.target)
    }

    /// The host and port of an absolute target, which overrides `Host` (RFC 9112 §3.2.2).
    pub fn authority(&self) -> Option<&str> {
        self.split_target().0
    }

    /// The path of the target, without its query, still percent-encoded; never empty. It begins with
    /// a slash, but for that of `OPTIONS *`, which asks about the server and none of its pages: `*`.
    pub fn path(&self) -> &str {
        let (_, rest) = self.split_target();
        match rest.split_once('?').map_or(rest, |(path, _)| path) {
            // RFC 9110 §4.2.3: an empty path is the same as "/".
            "" => "/",
            path => path,
        }
    }

    /// What follows the first `?` of the target, if there is one, still percent-encoded.
    pub fn query(&self) -> Option<&str> {
        let (_, rest) = self.split_target();
        rest.split_once('?').map(|(_, query)| query)
    }

    /// The `x` of `HTTP/1.x`.
    pub fn minor_version(&self) -> u8 {
        self.minor_version
    }

    /// The headers in their order: name as received, and value without the white space around it.
    /// A value may have bytes above 0x7F in it, of no known encoding (RFC 9110 §5.5).
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let text = |field: &Field| (self.ascii(field.name), self.value(field));
        self.fields.iter().map(text)
    }

    /// The first value of a header; bytes that are not UTF-8 come out as U+FFFD. Case does not
    /// matter in the name.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let first = self.header_values(name).next();
        first.map(String::from_utf8_lossy)
    }

    /// The value of each line of a header. Case does not matter in the name.
    pub fn header_values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |field| self.slice(field.name).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| self.value(field))
    }

    /// The value of a header that may be given once; `repeated` if it is given more often.
    pub(super) fn single_value<E>(&self, name: &str, repeated: E) -> Result<Option<&[u8]>, E> {
        let mut values = self.header_values(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(repeated),
            (value, None) => Ok(value),
        }
    }

    /// The elements of a header that is a comma list, over all its lines, the empty ones left out
    /// (RFC 9110 §5.6.1). Case does not matter in the name.
    pub fn header_list<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        grammar::elements(self.header_values(name))
    }

    /// The value of the first cookie of this name (RFC 6265 §5.4), over all lines of `Cookie`: of two
    /// that are called the same, clients send the one for the longer path first. The quotes around a
    /// value are left out (§4.2.1 there), and so is a value that is not UTF-8. Case matters in the name.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.header_values("Cookie").find_map(|line| values::cookie(line, name))?
    }

    /// The first value of this name in the query, decoded as a browser encodes a form or
    /// `URLSearchParams` (`application/x-www-form-urlencoded` of the WHATWG's URL standard): `+` is a
    /// space, `%` and two hexadecimal digits are a byte, any other `%` is itself, and bytes that are
    /// not UTF-8 come out as U+FFFD. A name without `=` has an empty value.
    ///
    /// ```no_run
    /// # fn room(request: &barews::Request) -> Option<String> {
    /// // GET /chat?room=%C3%A9t%C3%A9+2026
    /// let room = request.query_value("room")?;
    /// assert_eq!(room, "été 2026");
    /// # Some(room.into_owned())
    /// # }
    /// ```
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'_, str>> {
        values::query_value(self.query()?, name)
    }

    /// The token of `Authorization: Bearer` (RFC 6750 §2.1). `None` for another scheme, for what is no
    /// token, and for more than one `Authorization`, of which nobody knows which one counts.
    ///
    /// A browser's `WebSocket` cannot send the header: there a [cookie](Self::cookie) serves, with
    /// [`Config::origins`](crate::Config::origins) against other people's pages. Compare secrets in
    /// a time that does not depend on where they differ, or look up a hash of them.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        values::bearer(self.single_value("Authorization", ()).ok()??)
    }

    /// The authority of an absolute target, and the path and query of any.
    fn split_target(&self) -> (Option<&str>, &str) {
        let target = self.target();
        if target.starts_with(['/', '*']) {
            return (None, target);
        }
        // The parser let nothing else through than those or `scheme://authority`.
        let rest = target.split_once("://").map_or("", |(_, rest)| rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        (Some(authority), rest)
    }

    fn value(&self, field: &Field) -> &[u8] {
        // The parser lets no other white space into a value than a space or a tab.
        self.slice(Span { start: field.name.end + 1, end: field.value_end }).trim_ascii_start()
    }

    /// Text of a part that the parser let only ASCII into.
    fn ascii(&self, span: Span) -> &str {
        str::from_utf8(self.slice(span)).unwrap_or_default()
    }

    fn slice(&self, span: Span) -> &[u8] {
        &self.bytes[span.start as usize..span.end as usize]
    }
}

/// How large a request head may be. All of these are inclusive: a head that reaches them passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// The request line, in bytes without its CRLF. Default 8,192.
    pub max_request_line: usize,
    /// One header line, in bytes without its CRLF. Default 32,768, as the whole head: cookies are
    /// one line, and all ports of a host share them.
    pub max_header_line: usize,
    /// How many header lines. Default 100.
    pub max_headers: usize,
    /// The whole head, in bytes, with every CRLF. Default 32,768; above 4 GiB it counts as 4 GiB.
    pub max_head_size: usize,
}

impl Default for HeadLimits {
    fn default() -> HeadLimits {
        let head = 32 * 1024;
        HeadLimits {
            max_request_line: 8_192,
            max_header_line: head,
            max_headers: 100,
            max_head_size: head,
        }
    }
}

impl fmt::Debug for RequestHead {
    /// Without what `Authorization` and `Cookie` say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Headers<'a>(&'a RequestHead);
        impl fmt::Debug for Headers<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = |(name, value)| match values::is_secret(name) {
                    true => (name, Cow::Borrowed("(not shown)")),
                    false => (name, String::from_utf8_lossy(value)),
                };
                f.debug_map().entries(self.0.headers().map(text)).finish()
            }
        }
        f.debug_struct("RequestHead")
            .field("method", &self.method())
            .field("target", &self.target())
            .field("minor_version", &self.minor_version)
            .field("headers", &Headers(self))
            .finish()
    }
}

/// Where a header stands in the bytes of the head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Field {
    /// What follows is the colon, white space perhaps, and the value.
    pub(super) name: Span,
    /// Where that ends, without the white space behind it.
    pub(super) value_end: u32,
}

/// A range of positions in the head: `start` is the first, `end` is behind the last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

#[cfg(test)]
mod tests;
