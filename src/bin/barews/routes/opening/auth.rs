//! `/auth`: an echo for those who bring the credentials that the path names, and 401 for others.
//!
//! These are for tests, and stand in the path for all to see; what a request brings may be somebody's
//! real ones, so none of them is repeated in an answer or in the log.

use std::borrow::Cow;

use barews::{Request, Response, Status};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::routes::values::{Wrong, is_token};

/// What a request has to bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `user:password` (RFC 7617).
    Basic(String),
    /// A token (RFC 6750).
    Bearer(String),
    /// `?token=`; any that is not empty, if none is named.
    Query(Option<String>),
    Cookie {
        name: String,
        value: String,
    },
}

impl Credentials {
    /// What the segments behind `/auth` ask for.
    #[inline(never)]
    pub fn parse(values: &[Cow<'_, str>]) -> Result<Self, Wrong> {
        let values: Vec<&str> = values.iter().map(|value| &**value).collect();
        Ok(match *values {
            ["basic", user, password] if !user.contains(':') => {
                Self::Basic(format!("{user}:{password}"))
            }
            // RFC 7617 §2: a user's name with a colon in it cannot be told from its password.
            ["basic", ..] => {
                return Err(Wrong::path(
                    "/auth/basic/{user}/{password}: a user without a colon, and a password",
                ));
            }
            ["bearer", token] if is_b64token(token) => Self::Bearer(own(token)),
            ["bearer", ..] => {
                return Err(Wrong::path(
                    "/auth/bearer/{token}: letters, digits, - . _ ~ + / and = at the end",
                ));
            }
            ["query"] => Self::Query(None),
            ["query", token] => Self::Query(Some(own(token))),
            ["query", ..] => return Err(Wrong::path("/auth/query or /auth/query/{token}")),
            ["cookie", name, value] if is_token(name) && value.bytes().all(is_cookie_octet) => {
                Self::Cookie { name: own(name), value: own(value) }
            }
            ["cookie", ..] => {
                return Err(Wrong::path(
                    "/auth/cookie/{name}/{value}: as RFC 6265 has them, with no blanks, quotes, \
                     commas, semicolons or backslashes",
                ));
            }
            _ => return Err(Wrong::path("/auth/{scheme}: basic, bearer, query or cookie")),
        })
    }

    /// The answer to a request that does not bring them.
    pub fn refuse(&self, request: &Request) -> Option<Response> {
        let (brought, right) = match self {
            Self::Basic(pair) => {
                let sent = request.header("Authorization").map(|value| basic(&value).map(own));
                (sent.is_some(), sent.flatten() == Some(encode(pair)))
            }
            Self::Bearer(token) => {
                let sent = request.header("Authorization").is_some();
                (sent, request.bearer() == Some(token))
            }
            Self::Query(token) => {
                let sent = request.query_value("token").filter(|sent| !sent.is_empty());
                let right = match token {
                    Some(token) => sent.as_deref() == Some(token),
                    None => sent.is_some(),
                };
                (sent.is_some(), right)
            }
            Self::Cookie { name, value } => {
                let sent = request.cookie(name);
                (sent.is_some(), sent == Some(value))
            }
        };
        (!right).then(|| self.challenge(brought))
    }

    /// 401, with what is missing; `brought` is whether there was anything of the kind.
    fn challenge(&self, brought: bool) -> Response {
        let what = match self {
            Self::Basic(_) => "Authorization: Basic, of the user and the password in the path",
            Self::Bearer(_) => "Authorization: Bearer, with the token in the path",
            Self::Query(Some(_)) => "?token=, the one in the path",
            Self::Query(None) => "?token=, any but an empty one",
            Self::Cookie { .. } => "the cookie that the path names",
        };
        let wrong = if brought { "wrong credentials" } else { "no credentials" };
        // RFC 9110 §11.6.1: a 401 has a challenge. RFC 6750 §3.1: with an error only if there was a
        // token; cookies have no scheme that is registered.
        let challenge = match (self, brought) {
            (Self::Basic(_), _) => "Basic realm=\"barews\"",
            (Self::Bearer(_) | Self::Query(_), false) => "Bearer realm=\"barews\"",
            (Self::Bearer(_) | Self::Query(_), true) => {
                "Bearer realm=\"barews\", error=\"invalid_token\""
            }
            (Self::Cookie { .. }, _) => "Cookie realm=\"barews\"",
        };
        Response::new(Status::UNAUTHORIZED, format!("{wrong}: this path wants {what}\n"))
            .header("WWW-Authenticate", challenge)
    }
}

fn own(text: &str) -> String {
    text.to_owned()
}

/// In base64 (RFC 4648 §4), as RFC 7617 §2 wants it.
fn encode(pair: &str) -> String {
    let mut bytes = vec![0; pair.len().div_ceil(3) * 4];
    let encoded = BASE64_STANDARD.encode_slice(pair, &mut bytes);
    bytes.truncate(encoded.unwrap_or(0));
    String::from_utf8(bytes).unwrap_or_default()
}

/// What stands behind `Basic`. RFC 9110 §11.1: case does not matter in a scheme.
fn basic(value: &str) -> Option<&str> {
    let (scheme, pair) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Basic").then(|| pair.trim_start_matches(' '))
}

/// RFC 6750 §2.1.
fn is_b64token(token: &str) -> bool {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    let chars = token.trim_end_matches('=');
    !chars.is_empty() && chars.bytes().all(is_char)
}

/// RFC 6265 §4.1.1.
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}
