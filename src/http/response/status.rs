//! HTTP status codes.

use std::fmt;

/// An HTTP status code, 101 or a final one from 200 to 599 (RFC 9110 §15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

/// Defines the constants and the one table of reason phrases.
macro_rules! statuses {
    ($($name:ident = $code:literal, $reason:literal, $section:literal;)*) => {
        impl Status {
            $(
                #[doc = concat!("`", $code, " ", $reason, "` (", $section, ").")]
                pub const $name: Status = Status($code);
            )*

            /// The usual words for this status, empty for one that has no constant here; nothing
            /// is to be read from them (RFC 9112 §4).
            pub fn reason_phrase(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    _ => "",
                }
            }
        }
    };
}

statuses! {
    SWITCHING_PROTOCOLS = 101, "Switching Protocols", "RFC 9110 §15.2.2";
    OK = 200, "OK", "RFC 9110 §15.3.1";
    NO_CONTENT = 204, "No Content", "RFC 9110 §15.3.5";
    MOVED_PERMANENTLY = 301, "Moved Permanently", "RFC 9110 §15.4.2";
    FOUND = 302, "Found", "RFC 9110 §15.4.3";
    SEE_OTHER = 303, "See Other", "RFC 9110 §15.4.4";
    NOT_MODIFIED = 304, "Not Modified", "RFC 9110 §15.4.5";
    TEMPORARY_REDIRECT = 307, "Temporary Redirect", "RFC 9110 §15.4.8";
    PERMANENT_REDIRECT = 308, "Permanent Redirect", "RFC 9110 §15.4.9";
    BAD_REQUEST = 400, "Bad Request", "RFC 9110 §15.5.1";
    UNAUTHORIZED = 401, "Unauthorized", "RFC 9110 §15.5.2";
    FORBIDDEN = 403, "Forbidden", "RFC 9110 §15.5.4";
    NOT_FOUND = 404, "Not Found", "RFC 9110 §15.5.5";
    METHOD_NOT_ALLOWED = 405, "Method Not Allowed", "RFC 9110 §15.5.6";
    REQUEST_TIMEOUT = 408, "Request Timeout", "RFC 9110 §15.5.9";
    GONE = 410, "Gone", "RFC 9110 §15.5.11";
    URI_TOO_LONG = 414, "URI Too Long", "RFC 9110 §15.5.15";
    EXPECTATION_FAILED = 417, "Expectation Failed", "RFC 9110 §15.5.18";
    UPGRADE_REQUIRED = 426, "Upgrade Required", "RFC 9110 §15.5.22";
    TOO_MANY_REQUESTS = 429, "Too Many Requests", "RFC 6585 §4";
    REQUEST_HEADER_FIELDS_TOO_LARGE = 431, "Request Header Fields Too Large", "RFC 6585 §5";
    INTERNAL_SERVER_ERROR = 500, "Internal Server Error", "RFC 9110 §15.6.1";
    BAD_GATEWAY = 502, "Bad Gateway", "RFC 9110 §15.6.3";
    SERVICE_UNAVAILABLE = 503, "Service Unavailable", "RFC 9110 §15.6.4";
    GATEWAY_TIMEOUT = 504, "Gateway Timeout", "RFC 9110 §15.6.5";
    HTTP_VERSION_NOT_SUPPORTED = 505, "HTTP Version Not Supported", "RFC 9110 §15.6.6";
}

impl Status {
    /// The final status with this code, if it is one: 200 to 599 (RFC 9110 §15).
    pub const fn new(code: u16) -> Option<Status> {
        match code {
            200..=599 => Some(Status(code)),
            _ => None,
        }
    }

    /// The three digits.
    pub const fn code(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason_phrase())
    }
}
