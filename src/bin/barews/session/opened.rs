//! What is known of a connection since it opened, whichever engine serves it.

#[cfg(feature = "deflate")]
use barews::DeflateParams;
use barews::{Connection, Request};

/// See the [module](self).
#[derive(Clone, Copy)]
pub struct Opened<'a> {
    pub request: &'a Request,
    pub subprotocol: Option<&'a str>,
    #[cfg(feature = "deflate")]
    pub compression: Option<&'a DeflateParams>,
}

/// A connection that blocks tells it, and so does a sender.
macro_rules! opened {
    ($name:ty) => {
        impl<'a> From<&'a $name> for Opened<'a> {
            fn from(conn: &'a $name) -> Self {
                Self {
                    request: conn.request(),
                    subprotocol: conn.subprotocol(),
                    #[cfg(feature = "deflate")]
                    compression: conn.compression(),
                }
            }
        }
    };
}

opened!(Connection);
#[cfg(feature = "event-loop")]
opened!(barews::Sender);
