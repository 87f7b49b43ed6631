//! What a request is accepted with: the bytes of the 101, the limits that hold from then on, and what was
//! agreed on about compression; or what is answered in place of that.

use std::sync::Arc;
use std::time::SystemTime;

use crate::connection::Request;
use crate::connection::lifecycle::ConnectionShared;
#[cfg(feature = "deflate")]
use crate::connection::lifecycle::ServerShared;
use crate::connection_limits::OpenLimits;
use crate::error::UpgradeError;
#[cfg(feature = "deflate")]
use crate::http::DeflateOffer;
use crate::http::{Accept, Date, Reject};
use crate::server::callbacks::Callbacks;
#[cfg(feature = "deflate")]
use crate::session::compression::{Agreed, agree};
use crate::session::opening::{Answer, Opening};

/// What a request is accepted with.
pub(crate) struct Terms {
    /// What the peer is held to.
    pub(crate) limits: Arc<OpenLimits>,
    /// What was agreed on about compression, if it was.
    #[cfg(feature = "deflate")]
    pub(crate) agreed: Option<Agreed>,
    /// The bytes of the 101; none, if the application answers.
    pub(crate) reply: Vec<u8>,
}

/// What is answered in place of a 101, and why.
pub(crate) type Refused = (Answer, UpgradeError);

impl Terms {
    /// Answers a request that is accepted.
    ///
    /// # Errors
    ///
    /// What to answer instead, if it cannot be accepted so, and why.
    pub(crate) fn of(
        shared: &ConnectionShared,
        opening: &mut Opening,
        request: &Request,
        accept: &Accept,
    ) -> Result<Self, Refused> {
        let limits = limits(shared, accept)
            .map_err(|wrong| (opening.fail(today()), UpgradeError::InvalidLimits(wrong)))?;
        #[cfg(feature = "deflate")]
        let agreed = agreed(&shared.server, request, accept, &limits);
        #[cfg(feature = "deflate")]
        let extensions = agreed.as_ref().map(|agreed| agreed.params.to_string());
        #[cfg(not(feature = "deflate"))]
        let extensions: Option<String> = None;
        let reply = match accept.is_hijacked() {
            true => Ok(Vec::new()),
            false => opening.accept(request, accept, extensions.as_deref(), today()),
        };
        let reply = reply.map_err(answered)?;
        request.set_accepted(accept);
        Ok(Self {
            limits,
            #[cfg(feature = "deflate")]
            agreed,
            reply,
        })
    }
}

/// What the application has made of a request that it may accept.
///
/// # Errors
///
/// What it answers instead, or what is answered if it panics.
pub(crate) fn accepted<T>(
    opening: &mut Opening,
    asked: Result<Result<T, Reject>, UpgradeError>,
) -> Result<T, Refused> {
    match asked {
        Ok(Ok(accepted)) => Ok(accepted),
        Ok(Err(reject)) => Err(answered(opening.respond(&reject, today()))),
        Err(panicked) => Err((opening.fail(today()), panicked)),
    }
}

/// Has the application answer a plain request; and what to tell of it, if that is no success.
pub(crate) fn answer_plain(
    callbacks: &Callbacks,
    opening: &mut Opening,
    request: &Request,
) -> (Answer, Option<UpgradeError>) {
    let (answer, error) = match callbacks.on_request(request) {
        Ok(Some(response)) => answered(opening.respond(&response, today())),
        Ok(None) => answered(opening.decline(today())),
        Err(panicked) => (opening.fail(today()), panicked),
    };
    let is_success = matches!(error, UpgradeError::Rejected(status) if status.code() < 400);
    (answer, (!is_success).then_some(error))
}

fn answered(answer: Answer) -> Refused {
    let error = answer.outcome.into();
    (answer, error)
}

/// What the peer is held to from now on: what the server has for all, or what this request was
/// accepted with.
///
/// # Errors
///
/// What is wrong with the latter.
#[inline(never)]
fn limits(shared: &ConnectionShared, accept: &Accept) -> Result<Arc<OpenLimits>, String> {
    let server = &shared.server;
    let Some(own) = accept.attachments().get() else { return Ok(Arc::clone(&server.limits)) };
    let limits = OpenLimits::for_one(&server.config, own)?;
    shared.writer.set_timeout(limits.timeouts.write);
    Ok(Arc::new(limits))
}

/// Agrees to the first offer of compression that can be accepted, if compression is to be had.
// Its stack would be held by connections that never compress.
#[cfg(feature = "deflate")]
#[inline(never)]
fn agreed(
    server: &ServerShared,
    request: &Request,
    accept: &Accept,
    limits: &OpenLimits,
) -> Option<Agreed> {
    // Who answers by hand has agreed on nothing.
    let compresses = accept.compresses() && !accept.is_hijacked();
    let codecs = server.codecs.as_ref().filter(|_| compresses)?;
    let offer = DeflateOffer::first(request)?;
    Some(agree(codecs, &offer, limits.decoder.max_message_size))
}

/// RFC 9110 §6.6.1: no Date without a clock, as one is that stands before its own beginning.
pub(crate) fn today() -> Option<Date> {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_1970.ok().map(|time| Date::from_unix(time.as_secs()))
}
