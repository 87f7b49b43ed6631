//! The application's callbacks. A panic in one of them is caught: it must not end a thread that
//! also accepts, or reach another connection.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{io, mem};

use crate::connection::{Request, TrySendError};
use crate::error::{Error, UpgradeError};
use crate::http::{Accept, Reject, Response};

/// The error type of handlers: any error that implements [`Error`](StdError), which `?` converts.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Which connection an error is about: the argument of
/// [`Server::on_error`](crate::Server::on_error).
#[derive(Debug, Clone, Copy)]
pub struct ErrorContext<'a> {
    peer_addr: Option<SocketAddr>,
    request: Option<&'a Request>,
    is_disconnect: bool,
}

pub(crate) type OnUpgrade = dyn Fn(&Request) -> Result<Accept, Reject> + Send + Sync;
pub(crate) type OnRequest = dyn Fn(&Request) -> Response + Send + Sync;
pub(crate) type OnError = dyn Fn(&ErrorContext<'_>, &BoxError) + Send + Sync;

#[derive(Default)]
pub(crate) struct Callbacks {
    pub(crate) on_upgrade: Option<Box<OnUpgrade>>,
    pub(crate) on_request: Option<Box<OnRequest>>,
    pub(crate) on_error: Option<Box<OnError>>,
}

/// How far the cause of an error is looked for.
const MAX_SOURCES: usize = 16;

impl<'a> ErrorContext<'a> {
    /// The peer's address. `None` for a Unix-domain socket, which has none, and for
    /// [`UpgradeError::Accept`], which is about no stream.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// The request. `None` if its request line was not read to the end, or is malformed. Where what
    /// follows is malformed, or did not come in time, these are the lines before that.
    #[must_use]
    pub fn request(&self) -> Option<&'a Request> {
        self.request
    }

    /// Whether the error means no more than that the peer is gone, which most logs leave out: one
    /// for which [`Error::is_disconnect`] or [`UpgradeError::is_disconnect`] is true, a
    /// [`TrySendError::Closed`], or one that it is the cause of.
    #[must_use]
    pub fn is_disconnect(&self) -> bool {
        self.is_disconnect
    }
}

impl Callbacks {
    /// Whether a valid request for a connection is accepted; by default it is.
    ///
    /// # Errors
    ///
    /// [`UpgradeError::Panicked`].
    pub(crate) fn on_upgrade(
        &self,
        request: &Request,
    ) -> Result<Result<Accept, Reject>, UpgradeError> {
        match &self.on_upgrade {
            None => Ok(Ok(Accept::new())),
            Some(f) => catch_panic(|| f(request)).map_err(UpgradeError::Panicked),
        }
    }

    /// The response to a plain request, if the application answers these.
    ///
    /// # Errors
    ///
    /// [`UpgradeError::Panicked`].
    pub(crate) fn on_request(&self, request: &Request) -> Result<Option<Response>, UpgradeError> {
        let response = self.on_request.as_ref().map(|f| catch_panic(|| f(request)));
        response.transpose().map_err(UpgradeError::Panicked)
    }

    /// Reports what went wrong with a connection, or before there was one.
    pub(crate) fn on_error(
        &self,
        peer_addr: Option<SocketAddr>,
        request: Option<&Request>,
        error: impl Into<BoxError>,
    ) {
        if self.on_error.is_some() {
            self.tell(peer_addr, request, &error.into());
        }
    }

    /// The same of an error that is wanted elsewhere too.
    pub(crate) fn tell(
        &self,
        peer_addr: Option<SocketAddr>,
        request: Option<&Request>,
        error: &BoxError,
    ) {
        if let Some(f) = &self.on_error {
            // An error may be the application's, and panic when it is asked for its source.
            let is_disconnect = catch_panic(|| is_disconnect(&**error)).unwrap_or(false);
            let context = ErrorContext { peer_addr, request, is_disconnect };
            // Nobody is left to be told of a panic in there.
            let _ = catch_panic(|| f(&context, error));
        }
    }
}

/// Whether an error, or what it came of, says that the peer is gone.
fn is_disconnect(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    // An error may be its own source.
    for _ in 0..MAX_SOURCES {
        let Some(error) = next else { break };
        if let Some(error) = error.downcast_ref::<Error>() {
            return error.is_disconnect();
        }
        if let Some(error) = error.downcast_ref::<UpgradeError>() {
            return error.is_disconnect();
        }
        if let Some(error) = error.downcast_ref::<TrySendError>() {
            return *error == TrySendError::Closed;
        }
        // One of `io` with another inside names that one's source, and not itself.
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inside {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    false
}

/// What `f` returns.
///
/// # Errors
///
/// The message of its panic.
pub(crate) fn catch_panic<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("without a word").to_owned();
        // What it carries may panic when it is dropped.
        mem::forget(panic);
        text
    })
}
