//! From the first signal to the end of the program.
//!
//! ```text
//! starting ── arm() ───> serving ── SIGHUP, SIGINT, SIGTERM ──> shutting down ──> exit 0
//!    └── any of them ──> exit 0  │                             ↑   └── SIGINT, SIGTERM ──> exit 128 + signal
//!                                └──> draining, with --drain ──┘
//!                                     its time is over, or SIGINT, SIGTERM
//! ```
//!
//! Where there is a certificate to be read again, SIGHUP asks for that, and ends nothing.

use std::io;
use std::process;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use barews::ShutdownHandle;

use crate::app::App;
use crate::log::Log;
use crate::os::address::Address;
use crate::os::listen::Opened;
use crate::os::signals::{SIGHUP, Signals};
use crate::os::socket_file::SocketFile;
use crate::session::StopFlag;

/// What a thread may take to end after the grace.
const THREAD_END_TIMEOUT: Duration = Duration::from_secs(1);

/// What a signal starts, and what must not be left behind, however the program ends.
pub struct Shutdown {
    state: Mutex<State>,
    log: Log,
    /// Where SIGHUP asks for a reload, if there is anything to be read again. Nobody waits here: one
    /// request that waits is as good as two.
    reload: Option<SyncSender<()>>,
}

#[derive(Default)]
struct State {
    files: Vec<SocketFile>,
    /// What there is to shut down, until that begins.
    serving: Option<Serving>,
}

struct Serving {
    server: ShutdownHandle,
    app: Arc<App>,
    times: StopTimes,
}

/// How long the end of a server may take.
#[derive(Debug, Clone, Copy)]
pub struct StopTimes {
    /// To ask everybody to go.
    pub drain: Duration,
    /// For them to go.
    pub grace: Duration,
}

impl Shutdown {
    /// Waits for signals on a thread of its own. From now on they end the program at any time,
    /// however long a step of its start takes.
    pub fn watch(
        signals: Signals,
        log: Log,
        reload: Option<SyncSender<()>>,
    ) -> io::Result<Arc<Self>> {
        let shutdown = Arc::new(Self { state: Mutex::default(), log, reload });
        let watcher = Arc::clone(&shutdown);
        thread::Builder::new().name("signals".to_owned()).spawn(move || watcher.wait(&signals))?;
        Ok(shutdown)
    }

    /// Listens on an address. A file that this leaves is removed at the end of the program, even if
    /// that comes meanwhile.
    pub fn listen(&self, addr: &Address) -> io::Result<Opened> {
        // Looking up a name may take long, and leaves no file.
        let mut state = addr.is_unix().then(|| self.lock());
        let mut opened = addr.listen()?;
        if let Some(state) = &mut state {
            state.files.extend(opened.file.take());
        }
        Ok(opened)
    }

    /// Has the first signal shut this server down, instead of ending the program.
    pub fn arm(&self, server: ShutdownHandle, app: &Arc<App>, times: StopTimes) {
        self.lock().serving = Some(Serving { server, app: Arc::clone(app), times });
    }

    /// Removes what must not be left behind, and writes the last lines.
    pub fn clear(&self) {
        self.lock().files.clear();
        self.log.flush();
    }

    /// Ends the program.
    fn exit(&self, status: i32) -> ! {
        // Held to the end, so that nobody makes another file.
        let mut state = self.lock();
        state.files.clear();
        self.log.flush();
        process::exit(status)
    }

    fn wait(self: Arc<Self>, signals: &Signals) -> ! {
        let signal = loop {
            match (signals.wait(), &self.reload) {
                (SIGHUP, Some(reload)) => drop(reload.try_send(())),
                (signal, _) => break signal,
            }
        };
        let serving = self.lock().serving.take();
        let drain = serving.as_ref().map_or(Duration::ZERO, |serving| serving.times.drain);
        self.log.log_text(
            "signal",
            match drain {
                Duration::ZERO => format!("signal {signal}: shutting down"),
                drain => format!("signal {signal}: draining over {drain:?}, then shutting down"),
            },
        );
        let Some(serving) = serving else { self.exit(0) };
        let hurry = Arc::<StopFlag>::default();
        let (this, hurried) = (Arc::clone(&self), Arc::clone(&hurry));
        let shutdown = move || {
            let StopTimes { drain, grace } = serving.times;
            // Without a thread for it, all are asked to go at once.
            let (app, is_due) = (&serving.app, !drain.is_zero());
            app.drain().make_last();
            if is_due && !app.drain().is_over() && app.drain().start(drain, &this.log).is_ok() {
                hurried.wait(drain);
            }
            // Whoever is in a hurry from now on does not want to wait for the grace.
            hurried.set();
            serving.app.stop();
            serving.server.shutdown(grace);
            // A handler that still runs has had its time; the one thread that counts, in `run`,
            // ends the program sooner if it can.
            thread::sleep(THREAD_END_TIMEOUT);
            this.exit(0)
        };
        let shutdown = Arc::new(shutdown);
        let second = Arc::clone(&shutdown);
        if thread::Builder::new().spawn(move || second()).is_err() {
            // Nobody hears a second signal then, but everyone still has a Close.
            shutdown();
        }
        // A terminal that goes says so twice, by the kernel and by the shell; nobody is in a hurry.
        let next = || loop {
            match signals.wait() {
                SIGHUP => {}
                signal => break signal,
            }
        };
        let mut signal = next();
        if !drain.is_zero() && !hurry.is_set() {
            hurry.set();
            signal = next();
        }
        // What shells report for a program that a signal has ended.
        self.exit(128 + signal)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
