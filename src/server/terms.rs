//! What a request is accepted with: the bytes of the 101, the limits that hold from then on, and what was
//! agreed on about compression.

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
    /// The bytes of the 101; none, if the application answers.
    pub(crate) reply: Vec<u8>,
}

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
        let extensions: Option<String> = None;
        let reply = match accept.is_hijacked() {
            true => Ok(Vec::new()),
            false => opening.accept(request, accept, extensions.as_deref(), today()),
        };
        let reply = reply.map_err(|answer| {
            let error = answer.outcome.into();
            (answer, error)
        })?;
        Ok(Self {
            limits,
            #[cfg(feature = "deflate")]
            agreed,
            reply,
        })
    }
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
