//! What the application has a say in, and what it is told. A panic in there is caught, for the
//! thread is ours.

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
    pub(crate) fn decide(&self, request: &Request) -> Result<Result<Accept, Reject>, UpgradeError> {
        match &self.on_upgrade {
            None => Ok(Ok(Accept::new())),
            Some(decide) => guarded(|| decide(request)).map_err(UpgradeError::Panicked),
        }
    }

    /// The answer to a plain request, if the application has any.
    ///
    /// # Errors
    ///
    /// [`UpgradeError::Panicked`].
    pub(crate) fn answer(&self, request: &Request) -> Result<Option<Response>, UpgradeError> {
        let answer = self.on_request.as_ref();
        let answer = answer.map(|answer| guarded(|| answer(request)));
        answer.transpose().map_err(UpgradeError::Panicked)
    }

    /// Tells of what went wrong.
    pub(crate) fn note(&self, context: &ErrorContext<'_>, error: &BoxError) {
        if let Some(note) = &self.on_error {
            // There is nobody left to be told of a panic in there.
            let _ = guarded(|| note(context, error));
        }
    }
}

/// What `work` returns.
///
/// # Errors
///
/// What it said when it panicked.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let said = said(&*panic);
        // What it carries may panic when it is dropped.
        mem::forget(panic);
        said
    })
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a word").to_owned()
}
