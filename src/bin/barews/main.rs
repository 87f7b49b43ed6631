//! `barews`: a dependable endpoint to test WebSocket clients against.

mod activation;
mod address;
mod app;
mod budget;
mod cli;
mod describe;
mod echo;
mod escape;
mod faults;
mod headers;
mod help;
mod helper;
mod json;
mod label;
mod log;
mod metrics;
mod page;
mod plain;
mod rooms;
mod route;
mod settings;
mod signals;
mod stall;
mod stream;
mod subprotocol;
mod throttle;
mod trace;
mod value;
mod visit;

use std::io;
use std::process::{self, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use barews::{Config, Listener, Server, ShutdownHandle};

use address::{Address, SocketFile};
use app::App;
use cli::{Command, Options};
use log::Log;
use signals::Signals;

fn main() -> ExitCode {
    let passed = activation::listeners();
    let signals = Signals::block();
    match cli::parse(std::env::args_os().skip(1), |name| std::env::var_os(name)) {
        Ok(Command::Serve(options)) => match serve(*options, passed, signals) {
            Ok(()) => ExitCode::SUCCESS,
            Err(wrong) => fail(&wrong),
        },
        Ok(Command::Print(text)) => match log::print(&text) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        },
        Err(wrong) => fail(&format!("{wrong}; see barews --help")),
    }
}

fn fail(wrong: &str) -> ExitCode {
    log::complain(wrong);
    ExitCode::from(2)
}

fn serve(
    options: Options,
    passed: io::Result<Vec<Listener>>,
    signals: Signals,
) -> Result<(), String> {
    let Options { listen, config, grace, log, behaviour } = options;
    let (listeners, files) = listeners(&listen, passed)?;
    let log = Log::start(log);
    let leftovers = Arc::new(Leftovers { files: Mutex::new(files), log: log.clone() });
    // A report of a panic must not wait for standard error either.
    std::panic::set_hook(Box::new({
        let log = log.clone();
        move |panic| log.say("panic", panic.to_string())
    }));
    let app = Arc::new(App::new(log.clone(), behaviour, &config.timeouts));
    for listener in &listeners {
        let addr = address::shown(listener);
        log.event(
            "listening",
            || format!("listening on {addr}"),
            || vec![("address", json::string(&addr))],
        );
    }
    let result = run(listeners, config, &app, grace, signals, &leftovers);
    leftovers.clear();
    result.map_err(|error| format!("cannot serve: {error}"))
}

/// What must not be left behind, however the program ends.
struct Leftovers {
    files: Mutex<Vec<SocketFile>>,
    log: Log,
}

impl Leftovers {
    fn clear(&self) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.log.flush();
    }

    /// Ends the program.
    fn exit(&self, status: i32) -> ! {
        self.clear();
        process::exit(status)
    }
}

/// Opens what was asked for, beside what was passed, or else the default; with the files that are
/// to be removed again.
fn listeners(
    listen: &[Address],
    passed: io::Result<Vec<Listener>>,
) -> Result<(Vec<Listener>, Vec<SocketFile>), String> {
    let passed = passed.map_err(|error| format!("a listener that was passed is none: {error}"))?;
    let default = [Address::Tcp("127.0.0.1:9001".to_owned())];
    let listen = if listen.is_empty() && passed.is_empty() { &default } else { listen };
    let (mut listeners, mut files) = (passed, Vec::new());
    for addr in listen {
        let (listener, file) =
            addr.listen().map_err(|error| format!("cannot listen on {addr}: {error}"))?;
        listeners.push(listener);
        files.extend(file);
    }
    Ok((listeners, files))
}

fn run(
    listeners: Vec<Listener>,
    config: Config,
    app: &Arc<App>,
    grace: Duration,
    signals: Signals,
    leftovers: &Arc<Leftovers>,
) -> io::Result<()> {
    let mut listeners = listeners.into_iter();
    let first = listeners.next().ok_or(io::ErrorKind::InvalidInput)?;
    let mut server = Server::from_listener(first)?;
    for listener in listeners {
        server = server.and_listener(listener)?;
    }
    let [decide, answer, hear, serve] = [(); 4].map(|()| Arc::clone(app));
    let server = server
        .config(config)
        .on_upgrade(move |request| decide.decide(request))
        .on_request(move |request| answer.answer(request))
        .on_error(move |context, error| hear.hear(context, error));
    stop_on(signals, server.shutdown_handle(), grace, app, leftovers)?;
    server.run(move |conn| serve.serve(conn))
}

/// Has the first signal shut the server down, and the second end the program at once.
fn stop_on(
    signals: Signals,
    server: ShutdownHandle,
    grace: Duration,
    app: &Arc<App>,
    leftovers: &Arc<Leftovers>,
) -> io::Result<()> {
    let (app, leftovers) = (Arc::clone(app), Arc::clone(leftovers));
    let wait = move || {
        let signal = signals.wait();
        app.log.say("signal", format!("signal {signal}: shutting down"));
        app.stop();
        let last = Arc::clone(&leftovers);
        let shutdown = move || {
            server.shutdown(grace);
            // A handler that still runs has had its time; the one thread that counts, in `run`,
            // ends the program sooner if it can.
            thread::sleep(Duration::from_secs(1));
            last.exit(0);
        };
        if thread::Builder::new().spawn(shutdown).is_err() {
            leftovers.exit(0);
        }
        // What shells report for a program that a signal has ended.
        leftovers.exit(128 + signals.wait());
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}
