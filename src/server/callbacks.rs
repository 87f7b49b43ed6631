//! The application's callbacks. A panic in one of them is caught, for the thread is ours.

use std::any::Any;
use std::error::Error as StdError;
use std::mem;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::connection::Request;
use crate::error::UpgradeError;
use crate::http::{Accept, Reject, Response};

/// The error type of handlers: whatever `?` turns an error into.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What is known of the connection that an error is about, for
/// [`Server::on_error`](crate::Server::on_error).
#[derive(Debug, Clone, Copy)]
pub struct ErrorContext<'a> {
    pub(crate) peer_addr: Option<SocketAddr>,
    pub(crate) request: Option<&'a Request>,
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

impl<'a> ErrorContext<'a> {
    /// The peer's address. `None` where the stream has none, as a Unix-domain socket, and for
    /// [`UpgradeError::Accept`], which is about no stream.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// The request. `None` where its head could not be read to its end, or does not follow the
    /// grammar.
    #[must_use]
    pub fn request(&self) -> Option<&'a Request> {
        self.request
    }
}

impl Callbacks {
    /// Whether a valid request for a connection is to be accepted.
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

    /// The answer to a plain request, if the application has any.
    ///
    /// # Errors
    ///
    /// [`UpgradeError::Panicked`].
    pub(crate) fn on_request(&self, request: &Request) -> Result<Option<Response>, UpgradeError> {
        let answer = self.on_request.as_ref().map(|f| catch_panic(|| f(request)));
        answer.transpose().map_err(UpgradeError::Panicked)
    }

    /// Tells of what went wrong.
    pub(crate) fn on_error(&self, context: &ErrorContext<'_>, error: &BoxError) {
        if let Some(f) = &self.on_error {
            // There is nobody left to be told of a panic in there.
            let _ = catch_panic(|| f(context, error));
        }
    }
}

/// What `work` returns.
///
/// # Errors
///
/// What a panic said.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let message = panic_message(&*panic);
        // What it carries may panic when it is dropped.
        mem::forget(panic);
        message
    })
}

/// What a panic said.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a word").to_owned()
}
