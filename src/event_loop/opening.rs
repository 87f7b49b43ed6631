//! The opening handshake on a loop: what is said to which bytes is decided by
//! [`Opening`], as it is for a thread.

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::{Arc, mpsc};

use crate::connection::{Request, Sender};
use crate::error::{Error, UpgradeError};
#[cfg(feature = "deflate")]
use crate::event_loop::conn::Receiver;
use crate::event_loop::conn::{Asked, Conn, Open, Stage, Verdict};
use crate::event_loop::engine::{Engine, Fate, Gone};
use crate::event_loop::handler::EventHandler;
use crate::http::{Accept, RequestHead};
use crate::io::transport::Transport;
use crate::server::callbacks::catch_panic;
use crate::server::terms::{Terms, reply, today};
use crate::server::upgrade::{self, Exchange, Incoming, Upgrade};
use crate::server::worker::NO_THREAD;
use crate::session::ReadTimers;
#[cfg(feature = "deflate")]
use crate::session::Receiving;
use crate::session::opening::{Answer, Opening, Step};

/// What came of a request: its connection, and the 101; or the answer, and what to tell of it.
type Opened<S> = Result<(Open<S>, Vec<u8>), (Answer, UpgradeError)>;

impl<H: EventHandler> Engine<H> {
    /// Takes bytes of a request, and those behind it.
    pub(super) fn take_request(&mut self, conn: &mut Conn<H::State>, input: &mut [u8]) -> Fate {
        let Stage::Opening(stage) = &mut conn.stage else { return Ok(()) };
        stage.silent = false;
        let origins = &self.threads.server.config.origins;
        let (used, step) = stage.opening.feed(input, origins, today());
        let stream = conn.output.shared.stream();
        match step {
            Step::More => Ok(()),
            Step::Refused(answer, head) => {
                let request = head.map(|head| upgrade::request(head, stream));
                let error = answer.outcome.into();
                self.unopened(conn, answer, request.as_deref(), error)
            }
            Step::Upgrade(head) => self.upgrade(conn, head, &mut input[used..]),
            Step::Plain(head) => {
                let request = upgrade::request(head, stream);
                self.answer_plain(conn, &request)
            }
        }
    }

    fn upgrade(&mut self, conn: &mut Conn<H::State>, head: RequestHead, rest: &mut [u8]) -> Fate {
        let request = upgrade::request(head, conn.output.shared.stream());
        let needs_thread = catch_panic(|| self.handler.needs_thread(&request));
        if let Ok(true) = needs_thread {
            return self.give_away(conn, request, rest);
        }
        let blocks =
            needs_thread.and_then(|_| catch_panic(|| self.handler.on_upgrade_blocks(&request)));
        if let Ok(true) = blocks {
            return self.ask(conn, request, rest);
        }
        let verdict = blocks.map_err(UpgradeError::Panicked);
        let verdict = verdict.and_then(|_| self.threads.callbacks.on_upgrade(&request));
        self.decided(conn, &request, verdict, rest)
    }

    /// The application has said what becomes of a request.
    fn decided(
        &mut self,
        conn: &mut Conn<H::State>,
        request: &Arc<Request>,
        verdict: Verdict,
        rest: &mut [u8],
    ) -> Fate {
        let Stage::Opening(stage) = &mut conn.stage else { return Ok(()) };
        let opened = match verdict {
            Ok(Ok(accept)) => {
                let sender = Sender { shared: Arc::clone(&conn.output.shared) };
                self.accept(&mut stage.opening, request, &accept, sender)
            }
            Ok(Err(reject)) => Err(answered(stage.opening.respond(&reject, today()))),
            Err(panicked) => Err((stage.opening.fail(today()), panicked)),
        };
        match opened {
            Ok((open, reply)) => self.open(conn, open, &reply, rest),
            Err((answer, error)) => self.unopened(conn, answer, Some(request), error),
        }
    }

    fn accept(
        &self,
        opening: &mut Opening,
        request: &Arc<Request>,
        accept: &Accept,
        sender: Sender,
    ) -> Opened<H::State> {
        let shared = Arc::clone(&sender.shared);
        shared.set_request(Arc::clone(request));
        let terms = Terms::of(&shared, opening, request, accept)?;
        if accept.is_hijacked() {
            let text = "Accept::hijack needs a thread: see EventHandler::needs_thread".to_owned();
            return Err((opening.fail(today()), UpgradeError::InvalidLimits(text)));
        }
        // Before anybody has the sender, and with it a queue, which counts by it.
        #[cfg(feature = "deflate")]
        let receiver = terms.agreed.map(|agreed| {
            shared.agree(agreed.params, agreed.deflation);
            let receiving = Receiving::with_inflation(terms.limits.decoder, agreed.inflation);
            Receiver::new(&self.threads.server.budget, receiving)
        });
        #[cfg(not(feature = "deflate"))]
        let receiver = None;
        let state = match catch_panic(|| self.handler.open(request, sender)) {
            Ok(Ok(state)) => state,
            Ok(Err(reject)) => return Err(answered(opening.respond(&reject, today()))),
            Err(text) => return Err((opening.fail(today()), UpgradeError::Panicked(text))),
        };
        match reply(opening, request, accept, terms.extensions.as_deref()) {
            Ok(reply) => {
                let (timers, limits) = (ReadTimers::default(), terms.limits);
                Ok((Open { timers, limits, receiver, close_frame: None, state }, reply))
            }
            Err(refused) => {
                // It may panic, too.
                let _ = catch_panic(|| drop(state));
                Err(refused)
            }
        }
    }

    /// Answers 101, and takes what came behind the request.
    fn open(
        &mut self,
        conn: &mut Conn<H::State>,
        open: Open<H::State>,
        reply: &[u8],
        rest: &mut [u8],
    ) -> Fate {
        // The turn may have begun long ago, and the peer is silent from the 101 on.
        conn.since = self.start.elapsed().as_nanos() as u64;
        let (timeouts, handshake) =
            (&open.limits.timeouts, self.threads.server.config.timeouts.handshake);
        if timeouts.ping_interval.min(timeouts.idle_timeout) < handshake {
            // Else it is looked at soon enough, at the end of the time for the handshake.
            conn.due = 0;
        }
        conn.stage = Stage::Open(open);
        // From the 101 on the client may count on a Close, so it is open before.
        if let Some(guard) = &conn.guard {
            guard.set_open();
        }
        // From now on others may write, and wait for room.
        let _ = Transport::set_nonblocking(&*conn.stream, false);
        conn.output.begin(&mut self.scratch, reply);
        // Who has the sender may have cut it at any moment, and hears of that.
        if let Some(error) = conn.output.failed.take_if(|error| !is_our_own(error)) {
            return self.not_opened(conn, *error);
        }
        self.call(conn, |handler, open, out| handler.opened(&mut open.state, out));
        // Before the peer's own, if that came behind the request.
        self.close_if_wanted(conn);
        self.take_frames(conn, rest)
    }

    /// The peer was gone before the 101: as on a thread, that is a request which came to nothing.
    #[cold]
    fn not_opened(&mut self, conn: &mut Conn<H::State>, error: Error) -> Fate {
        let stage = mem::replace(&mut conn.stage, Stage::Draining(None));
        let shared = &conn.output.shared;
        shared.abandon();
        let (peer, request) = (shared.stream().peer_addr(), shared.request());
        self.threads.callbacks.on_error(peer, Some(request), UpgradeError::Io(error.into()));
        // It may panic.
        let _ = catch_panic(|| drop(stage));
        Err(Gone)
    }

    /// Has the application asked about a request on a thread, or answers that there is none.
    fn ask(&mut self, conn: &mut Conn<H::State>, request: Arc<Request>, rest: &[u8]) -> Fate {
        let (tell, verdict) = mpsc::channel();
        let (shared, asked) = (Arc::clone(&conn.output.shared), Arc::clone(&request));
        let started = self.threads.start_call(move |callbacks| {
            // Nobody may be left to hear of it.
            drop(tell.send(callbacks.on_upgrade(&asked)));
            let _ = shared.stream().notify(false);
        });
        if let Err(error) = started {
            return self.no_thread(conn, &request, error);
        }
        let Stage::Opening(stage) = &mut conn.stage else { return Ok(()) };
        stage.asked = Some(Box::new(Asked { request, rest: rest.to_vec(), verdict }));
        conn.output.pause_reading();
        Ok(())
    }

    /// A thread may have asked about a request.
    pub(super) fn was_asked(&mut self, conn: &mut Conn<H::State>) -> Fate {
        let Stage::Opening(stage) = &mut conn.stage else { return Ok(()) };
        let verdict = stage.asked.as_ref().and_then(|asked| asked.verdict.try_recv().ok());
        let Some(verdict) = verdict else { return Ok(()) };
        let Some(asked) = stage.asked.take() else { return Ok(()) };
        conn.output.paused = None;
        let Asked { request, mut rest, .. } = *asked;
        self.decided(conn, &request, verdict, &mut rest)
    }

    fn no_thread(
        &mut self,
        conn: &mut Conn<H::State>,
        request: &Request,
        error: io::Error,
    ) -> Fate {
        let Stage::Opening(stage) = &mut conn.stage else { return Err(Gone) };
        let answer = stage.opening.respond(&upgrade::unavailable(NO_THREAD), today());
        self.unopened(conn, answer, Some(request), error.into())
    }

    /// Leaves a connection to a thread, or answers that there is none.
    fn give_away(&mut self, conn: &mut Conn<H::State>, request: Arc<Request>, rest: &[u8]) -> Fate {
        let started = self.threads.start_upgrade().and_then(|hand_over| {
            conn.stream.detach()?;
            Ok(hand_over)
        });
        let hand_over = match started {
            Ok(hand_over) => hand_over,
            Err(error) => return self.no_thread(conn, &request, error),
        };
        let stage = mem::replace(&mut conn.stage, Stage::Draining(None));
        let Stage::Opening(stage) = stage else { return Err(Gone) };
        let Some(guard) = conn.guard.take() else { return Err(Gone) };
        let shared = Arc::clone(&conn.output.shared);
        let exchange = Exchange { shared, opening: stage.opening, request, rest: rest.to_vec() };
        // The thread is there, and waits for it.
        let _ = hand_over.send((Incoming::Upgrade(Upgrade { exchange }), guard));
        Err(Gone)
    }

    fn answer_plain(&mut self, conn: &mut Conn<H::State>, request: &Request) -> Fate {
        let Stage::Opening(stage) = &mut conn.stage else { return Ok(()) };
        let (answer, error) = match self.threads.callbacks.on_request(request) {
            Ok(Some(response)) => answered(stage.opening.respond(&response, today())),
            Ok(None) => answered(stage.opening.decline(today())),
            Err(panicked) => (stage.opening.fail(today()), panicked),
        };
        match error {
            UpgradeError::Rejected(status) if status.code() < 400 => self.answer(conn, answer),
            error => self.unopened(conn, answer, Some(request), error),
        }
    }

    /// The stream has ended before the request did, or failed, or nothing has come in time.
    pub(super) fn request_broken(
        &mut self,
        conn: &mut Conn<H::State>,
        read: io::Result<Option<usize>>,
    ) -> Fate {
        let Stage::Opening(stage) = &mut conn.stage else { return Err(Gone) };
        let (opening, stream) = (&mut stage.opening, conn.output.shared.stream());
        let asked = stage.asked.take().map(|asked| {
            let Asked { request, verdict, .. } = *asked;
            // What is attached to one that nobody has heard may panic.
            let _ = catch_panic(|| drop(verdict));
            request
        });
        let request = asked.or_else(|| Some(upgrade::request(opening.take_part()?, stream)));
        let (answer, error) = match read {
            Ok(None) => (Some(opening.time_out(today())), UpgradeError::TimedOut),
            Ok(_) if stage.silent => (None, UpgradeError::NoRequest),
            Ok(_) => (None, UpgradeError::Io(ErrorKind::UnexpectedEof.into())),
            Err(error) => upgrade::unreadable(opening, error, stage.silent),
        };
        match answer {
            Some(answer) => self.unopened(conn, answer, request.as_deref(), error),
            None => {
                self.threads.callbacks.on_error(stream.peer_addr(), request.as_deref(), error);
                Err(Gone)
            }
        }
    }

    /// Answers a request that gets no connection, and tells of it.
    pub(super) fn unopened(
        &mut self,
        conn: &mut Conn<H::State>,
        answer: Answer,
        request: Option<&Request>,
        error: UpgradeError,
    ) -> Fate {
        let peer = conn.output.shared.stream().peer_addr();
        self.threads.callbacks.on_error(peer, request, error);
        self.answer(conn, answer)
    }

    /// Says the last bytes of a stream that does not become a connection.
    fn answer(&mut self, conn: &mut Conn<H::State>, answer: Answer) -> Fate {
        let writer = &conn.output.shared.writer;
        let within = writer.timeout(answer.bytes.len() as u64);
        writer.resume().answer(answer.bytes, within);
        conn.stage = Stage::Draining(None);
        conn.output.is_posted = true;
        conn.retry(self.now);
        Ok(())
    }
}

/// Whether it was us who ended a stream: of what a peer did, the system tells with a number.
fn is_our_own(error: &Error) -> bool {
    match error {
        Error::Io(error) => {
            error.kind() == ErrorKind::ConnectionAborted && error.raw_os_error().is_none()
        }
        _ => true,
    }
}

fn answered(answer: Answer) -> (Answer, UpgradeError) {
    let error = answer.outcome.into();
    (answer, error)
}
