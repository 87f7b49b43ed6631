//! What a connection does, by its path.

use std::sync::Arc;

use barews::{Connection, Limits, Request, Timeouts};

use super::by_hand::late_close::{self, LateClose};
use super::by_hand::{self, HandshakeFault, handshake, slow};
use super::opening::headers;
use super::rooms::Rooms;
use super::route::Route;
use super::{delay, echo, faults, stall, stream};
use crate::log::{describe, json};
use crate::metrics::Counters;
use crate::session::{End, Opened, SessionShared};

/// All paths, with what they go by.
pub struct Paths {
    pub rooms: Rooms,
    /// Those of the server, which no connection's own exceed.
    pub limits: Limits,
    pub timeouts: Timeouts,
    /// Whether `/headers` shows what lets a user in.
    pub show_credentials: bool,
}

impl Paths {
    /// Serves a connection as its path asks.
    pub fn handle(
        &self,
        route: Route,
        mut conn: Connection,
        shared: &SessionShared,
        counters: &Arc<Counters>,
    ) -> End {
        if route.is_by_hand() {
            return self.handle_by_hand(route, conn, shared, counters);
        }
        let result = match route {
            Route::Echo | Route::Subprotocol | Route::Limits(_) | Route::Auth(_) => {
                echo::echo(&mut conn, counters)
            }
            // Nobody gets here with these: they are answered, or by hand.
            Route::Status(_) | Route::Slow(_) | Route::Handshake(..) | Route::Invalid(_) => Ok(()),
            Route::Headers => {
                let text = headers::json(Opened::from(&conn), self.show_credentials);
                echo::send_then_echo(&mut conn, counters, text)
            }
            Route::Close { code, reason, after, .. } => {
                echo::close(&mut conn, counters, code, &reason, after.unwrap_or(0))
            }
            Route::Fragment(size) => echo::fragment(&mut conn, counters, size),
            Route::Delay(delay) => delay::delayed_echo(&mut conn, counters, || delay),
            Route::Jitter(max) => delay::delayed_echo(&mut conn, counters, || delay::random(max)),
            // The others take the connection apart.
            Route::Broadcast(room) => return self.rooms.join(&room, conn, counters),
            Route::Ping(interval) => return stream::ping(conn, counters, interval),
            Route::Count { n, every } => return stream::count(conn, counters, n, every),
            Route::Tick(every) => return stream::tick(conn, counters, every),
            Route::Flood(len) => return stream::flood(conn, counters, len),
            Route::Drop(after) => return faults::abort(conn, counters, after, false),
            Route::Reset(after) => return faults::abort(conn, counters, after, true),
            Route::Stall => {
                let (stop, timeouts) = (&shared.stop, &self.timeouts);
                return stall::stall(conn, counters, stop, timeouts);
            }
        };
        End::of(&conn, result)
    }

    /// The same for one that speaks for itself. It is a call of its own, for what it takes of the stack
    /// is more than an echo has to spare.
    #[inline(never)]
    fn handle_by_hand(
        &self,
        route: Route,
        conn: Connection,
        shared: &SessionShared,
        counters: &Arc<Counters>,
    ) -> End {
        let context = self.by_hand(shared, counters);
        match route {
            Route::Close { code, reason, after, delay, reply } => {
                late_close::close(conn, context, &LateClose { code, reason, after, delay, reply })
            }
            Route::Slow(rate) => slow::slow(conn, context, rate),
            Route::Handshake(fault, every) => {
                shared.metrics.count_handshake_fault(fault.name());
                let tell = tell_of_handshake(shared, conn.request(), fault);
                handshake::answer(conn, context, fault, every, tell)
            }
            Route::Invalid(frame) => faults::send_invalid(conn, frame),
            _ => End { result: Ok(()), received: None },
        }
    }

    /// For a path that speaks for itself.
    fn by_hand<'a>(
        &'a self,
        shared: &'a SessionShared,
        counters: &'a Counters,
    ) -> by_hand::PeerContext<'a> {
        let Self { limits, timeouts, .. } = self;
        let (stop, drain) = (&shared.stop, &*shared.metrics.drain);
        by_hand::PeerContext { counters, stop, drain, limits, timeouts }
    }
}

/// Logs what a client makes of a handshake.
fn tell_of_handshake<'a>(
    shared: &'a SessionShared,
    request: &Request,
    fault: HandshakeFault,
) -> impl FnOnce(&str) + use<'a> {
    let what = describe::request(request.peer_addr(), Some(request));
    let fields = describe::fields(request.peer_addr(), Some(request));
    move |client| {
        let kind = fault.name();
        let text = || format!("{what} {client} after {kind}");
        shared.log.log_event("handshake_fault", text, || {
            let told = [("fault", json::string(kind)), ("client", json::string(client))];
            fields.into_iter().chain(told).collect()
        });
    }
}
