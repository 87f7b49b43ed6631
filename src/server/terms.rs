//! What a request is accepted with: the limits that hold from then on, what was agreed on about
//! compression, and the 101 that says so.

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
use crate::http::{Accept, Date};
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
    /// What the 101 says of that.
    pub(crate) extensions: Option<String>,
}

impl Terms {
    /// Of a request that may be accepted so.
    ///
    /// # Errors
    ///
    /// What to answer instead, and why.
    pub(crate) fn of(
        shared: &ConnectionShared,
        opening: &mut Opening,
        request: &Request,
        accept: &Accept,
    ) -> Result<Self, (Answer, UpgradeError)> {
        // What is attached is dropped with the request, however this ends: it may panic.
        request.set_accepted(accept);
        let limits = limits(shared, accept)
            .map_err(|wrong| (opening.fail(today()), UpgradeError::InvalidLimits(wrong)))?;
        #[cfg(feature = "deflate")]
        let agreed = agreed(&shared.server, request, accept, &limits);
        #[cfg(feature = "deflate")]
        let extensions = agreed.as_ref().map(|agreed| agreed.params.to_string());
        #[cfg(not(feature = "deflate"))]
        let extensions = None;
        Ok(Self {
            limits,
            #[cfg(feature = "deflate")]
            agreed,
            extensions,
        })
    }
}

/// Both at once: what a request is accepted with, and the 101.
///
/// # Errors
///
/// What to answer instead, and why.
// In line, it would make what runs on the stack deeper by a page, and an idle connection keeps that: 15.4 KiB for
// 11.4 (`tests/documents`).
#[inline(never)]
pub(crate) fn accepted(
    shared: &ConnectionShared,
    opening: &mut Opening,
    request: &Request,
    accept: &Accept,
) -> Result<(Terms, Vec<u8>), (Answer, UpgradeError)> {
    let terms = Terms::of(shared, opening, request, accept)?;
    let reply = reply(opening, request, accept, terms.extensions.as_deref())?;
    Ok((terms, reply))
}

/// The bytes of the 101; none, if the application answers.
///
/// # Errors
///
/// What to answer instead, if they cannot be sent, and why.
pub(crate) fn reply(
    opening: &mut Opening,
    request: &Request,
    accept: &Accept,
    extensions: Option<&str>,
) -> Result<Vec<u8>, (Answer, UpgradeError)> {
    if accept.is_hijacked() {
        return Ok(Vec::new());
    }
    opening.accept(request, accept, extensions, today()).map_err(|answer| {
        let error = answer.outcome.into();
        (answer, error)
    })
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
