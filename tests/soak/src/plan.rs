//! For how long, against what, and at which scale a run is held.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::{Client, Habit};
use crate::identity::Identity;
use crate::probe::descriptor_limit;
use crate::reactor::Reactor;
use crate::report::NoReport;
use crate::server::{Program, Server};
use crate::stream::Target;
use crate::tally::Shared;

/// How many connections may be in their handshake at once. A listener of std lets 128 wait, and
/// whoever comes on top of them is only heard a second later.
pub(crate) const AT_ONCE: usize = 64;

pub(crate) struct Plan<'a> {
    pub(crate) program: &'a Program,
    /// How long the load lasts, without what comes before and after.
    pub(crate) length: Duration,
    /// What the numbers of connections are divided by: 1, or more for a look at the harness.
    pub(crate) divisor: usize,
}

/// A deadline of the server, and whether this run sets it.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) option: &'static str,
    pub(crate) value: Duration,
}

impl Plan<'_> {
    pub(crate) fn count(&self, full: usize) -> usize {
        (full / self.divisor).max(1)
    }

    /// # Errors
    ///
    /// If `connections` at once need more descriptors than there are.
    pub(crate) fn need(&self, connections: usize) -> Result<(), NoReport> {
        let (need, have) = (connections as u64 + 200, descriptor_limit());
        match need <= have {
            true => Ok(()),
            false => Err(NoReport::Impossible(format!(
                "needs {need} descriptors, and the limit is {have}"
            ))),
        }
    }

    /// # Errors
    ///
    /// If the server does not start.
    pub(crate) fn start(&self, options: &[(&str, String)]) -> Result<Server, NoReport> {
        crate::frame::prepare();
        self.program.start(options).map_err(|error| NoReport::NoServer(error.to_string()))
    }

    /// The same with this certificate, and TLS on all that is said.
    ///
    /// # Errors
    ///
    /// If the server does not start.
    pub(crate) fn start_tls(
        &self,
        identity: &Identity,
        options: &[(&str, String)],
    ) -> Result<Server, NoReport> {
        let path = |path: &Path| path.display().to_string();
        let tls = [("--tls-cert", path(&identity.certificate)), ("--tls-key", path(&identity.key))];
        let mut server = self.start(&[&tls[..], options].concat())?;
        server.tls = Some(Arc::clone(&identity.client));
        Ok(server)
    }

    /// A deadline for this run: the default, or less where a short run would not come to see it
    /// pass and the server lets us choose.
    pub(crate) fn deadline(&self, option: &'static str, default: Duration) -> Setting {
        let third = Duration::from_secs((self.length.as_secs() / 3).max(1));
        let value = if self.program.has(option) { default.min(third) } else { default };
        Setting { option, value }
    }
}

impl Setting {
    pub(crate) fn argument(self) -> (&'static str, String) {
        (self.option, format!("{}ms", self.value.as_millis()))
    }
}

/// Opens connections with these numbers; whether all are open within half a minute.
pub(crate) fn open(
    reactor: &mut Reactor<Client>,
    server: &Target,
    numbers: std::ops::Range<usize>,
    habit: Habit,
    tally: &Shared,
) -> bool {
    open_with(reactor, server, numbers, habit, &[], tally)
}

/// The same with offers of extensions, which the clients take in turn, if there are any.
pub(crate) fn open_with(
    reactor: &mut Reactor<Client>,
    server: &Target,
    numbers: std::ops::Range<usize>,
    habit: Habit,
    offers: &[&'static str],
    tally: &Shared,
) -> bool {
    let end = Instant::now() + Duration::from_secs(30);
    let goal = tally.borrow().opened + numbers.len() as u64;
    let mut numbers = numbers.peekable();
    loop {
        let (opened, failed) = (tally.borrow().opened, tally.borrow().failed());
        if opened >= goal {
            return true;
        }
        if failed > 0 || Instant::now() > end {
            tally.borrow_mut().fail("not all could open".to_owned());
            return false;
        }
        let mut waiting = (goal - opened) as usize - numbers.len();
        while waiting < AT_ONCE
            && let Some(number) = numbers.next()
        {
            match Client::connect(server, number, habit, tally) {
                Ok(client) => reactor.add(match offers {
                    [] => client,
                    offers => client.offer(offers[number % offers.len()]),
                }),
                Err(error) => tally.borrow_mut().fail(format!("no socket: {error}")),
            }
            waiting += 1;
        }
        reactor.turn(end);
    }
}

/// Lets the clients work until then.
pub(crate) fn work(reactor: &mut Reactor<Client>, until: Instant) {
    while Instant::now() < until {
        reactor.turn(until);
    }
}

/// Has all clients fall silent, waits for what is under way, and closes every connection.
pub(crate) fn finish(reactor: &mut Reactor<Client>, tally: &Shared) {
    tally.borrow_mut().quiet = true;
    let patience = Duration::from_secs(5);
    reactor.turn_until(patience, |_| tally.borrow().missing() == 0);
    reactor.each(|client, scratch| client.close(scratch));
    if !reactor.turn_until(patience, |reactor| reactor.len() == 0) {
        let left = format!("{} would not close", reactor.len());
        tally.borrow_mut().fail(left);
    }
}

/// Has every client send one message of this length; whether all came back.
pub(crate) fn echo_all(reactor: &mut Reactor<Client>, tally: &Shared, len: usize) -> bool {
    let goal = tally.borrow().sent + reactor.len() as u64;
    reactor.each(|client, scratch| client.send(len, scratch));
    let all = reactor.turn_until(Duration::from_secs(20), |_| tally.borrow().missing() == 0);
    all && tally.borrow().echoed == goal
}
