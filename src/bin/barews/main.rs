//! `barews`: a dependable endpoint to test WebSocket clients against.

mod os;
mod units;
mod log;
mod limits;
#[cfg(feature = "deflate")]
mod compression;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
mod no_tls;
#[cfg(not(feature = "tls"))]
use no_tls as tls;
#[cfg(feature = "backplane")]
mod backplane;
mod drain;
mod metrics;
mod session;
mod page;
mod routes;
mod cli;
mod healthcheck;
mod app;
mod admin;
mod shutdown;
#[cfg(feature = "event-loop")]
mod event_loop;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use barews::{Config, Listener, Server};

use app::App;
use cli::{Command, Engine, Options};
#[cfg(feature = "deflate")]
use compression::Compression;
use log::Log;
use os::address::Address;
use os::reach::{Reach, reach};
use os::signals::Signals;
use os::{descriptors, listen, socket_activation};
use shutdown::{Shutdown, StopTimes};
use tls::Tls;

/// Descriptors for other things than connections and listeners: the standard streams, and some
/// that are open for a moment.
const SPARE_DESCRIPTORS: u64 = 16;

fn main() -> ExitCode {
    os::allocator::set_up();
    let passed = socket_activation::listeners();
    let env: Vec<_> = std::env::vars_os().collect();
    match cli::parse(std::env::args_os().skip(1), &env) {
        Ok(Command::Serve(options)) => match start(*options, passed) {
            Ok(()) => ExitCode::SUCCESS,
            Err(wrong) => fail(&wrong),
        },
        Ok(Command::Check(url, options)) => healthcheck::run(url.as_deref(), &options),
        Ok(Command::Print(text)) => print(&text),
        Err(wrong) => fail(&format!("{wrong}; see barews --help")),
    }
}

fn fail(wrong: &str) -> ExitCode {
    // An argument, or a name in a file, may have anything in it.
    log::log_error(&log::escape::line(wrong));
    ExitCode::from(2)
}

/// Writes to standard output.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Who has read enough need not be told.
            if error.kind() != ErrorKind::BrokenPipe {
                log::log_error(&format!("cannot write to standard output: {error}"));
            }
            ExitCode::FAILURE
        }
    }
}

fn start(options: Options, passed: Result<Vec<Listener>, String>) -> Result<(), String> {
    let reloads = options.tls.is_reloadable();
    // Before there is any other thread: they inherit it.
    let signals = Signals::block(reloads);
    let log = Log::start(options.log);
    let (reload, requests) = sync_channel(1);
    let shutdown = Shutdown::watch(signals, log.clone(), reloads.then_some(reload));
    let shutdown = shutdown.map_err(|error| format!("cannot start a thread: {error}"))?;
    os::allocator::start_trimming();
    // A report of a panic must not wait for standard error either.
    std::panic::set_hook(Box::new({
        let log = log.clone();
        move |panic| log.log_text("panic", panic.to_string())
    }));
    let result = listen_and_run(options, passed, log, &shutdown, requests);
    shutdown.clear();
    result
}

fn listen_and_run(
    options: Options,
    passed: Result<Vec<Listener>, String>,
    log: Log,
    shutdown: &Shutdown,
    reloads: Receiver<()>,
) -> Result<(), String> {
    let passed = passed?;
    // Before a line says that it listens.
    #[cfg(feature = "backplane")]
    let mut options = options;
    #[cfg(feature = "backplane")]
    let backplane = options.take_backplane();
    let Options {
        engine, listen, admin, config, tls, drain, grace, behaviour, mut warnings, ..
    } = options;
    config.validate().map_err(|error| error.to_string())?;
    if behaviour.private_metrics && admin.is_empty() {
        return Err("--private-metrics takes /metrics away, and no --admin serves it".to_owned());
    }
    let tls = Tls::open(tls, &listen, &passed)?;
    tls.announce(&log);
    tls.reload_on(reloads, &log).map_err(|error| format!("cannot start a thread: {error}"))?;
    let app = App::new(log.clone(), engine, behaviour, &config, &tls);
    #[cfg(feature = "backplane")]
    let app = match backplane {
        Some(settings) => app.with_backplane(settings)?,
        None => app,
    };
    let descriptors = descriptors::raise();
    let listeners = listeners(&listen, passed, shutdown, &mut warnings)?;
    let admin = open(&admin, shutdown, &mut warnings)?;
    warnings.extend(admin::exposed(&admin));
    for listener in &listeners {
        log_listening(&log, listener, engine, &tls);
    }
    admin::log_listening(&log, &admin);
    let mut others = listeners.len() + admin.len();
    if !admin.is_empty() {
        others += admin::MAX_CONNECTIONS;
    }
    if engine == Engine::EventLoop {
        others += descriptors_of_loops(&config, listeners.len());
    }
    warnings.extend(descriptors.and_then(|limit| too_few(limit, &config, others)));
    for warning in warnings {
        log.log_text("warning", warning);
    }
    let times = StopTimes { drain, grace };
    let result = run(listeners, admin, config, &tls, app, times, shutdown);
    result.map_err(|error| format!("cannot serve: {error}"))
}

fn log_listening(log: &Log, listener: &Listener, engine: Engine, tls: &Tls) {
    let addr = listen::display(listener);
    // One of our own making is trusted by nobody yet.
    let Reach { url, hint } = reach(&addr, tls.is_on(), tls.certificate_pem().is_none());
    let engine_shown = match engine {
        Engine::Threads => "",
        Engine::EventLoop => " by event loops",
    };
    let text = || match tls.is_on() {
        true if url.is_none() => format!("listening on {addr} with TLS{engine_shown}{hint}"),
        true => format!("listening on wss://{addr}{engine_shown}{hint}"),
        false => format!("listening on {addr}{engine_shown}{hint}"),
    };
    let fields = || {
        let mut fields = vec![
            ("address", log::json::string(&addr)),
            ("engine", log::json::string(engine.name())),
        ];
        if tls.is_on() {
            fields.push(("tls", "true".to_owned()));
        }
        fields.extend(url.as_ref().map(|url| ("url", log::json::string(url))));
        fields
    };
    log.log_event("listening", text, fields);
}

/// Opens what was asked for, beside what was passed, or else the default.
fn listeners(
    listen: &[Address],
    passed: Vec<Listener>,
    shutdown: &Shutdown,
    warnings: &mut Vec<String>,
) -> Result<Vec<Listener>, String> {
    let default = [Address::default()];
    let listen = if listen.is_empty() && passed.is_empty() { &default } else { listen };
    let mut listeners = passed;
    listeners.extend(open(listen, shutdown, warnings)?);
    Ok(listeners)
}

/// Listens on addresses.
fn open(
    addrs: &[Address],
    shutdown: &Shutdown,
    warnings: &mut Vec<String>,
) -> Result<Vec<Listener>, String> {
    let mut listeners = Vec::new();
    for addr in addrs {
        let opened = shutdown.listen(addr);
        let opened = opened.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
        listeners.extend(opened.listeners);
        let missing = opened.missing.iter();
        warnings.extend(missing.map(|(at, error)| format!("{addr} goes without {at}: {error}")));
    }
    Ok(listeners)
}

/// How many event loops have: each one three to wait and to be woken with, and its own of each listener.
fn descriptors_of_loops(config: &Config, listeners: usize) -> usize {
    #[cfg(feature = "event-loop")]
    let count = config.event_loops;
    #[cfg(not(feature = "event-loop"))]
    let (count, _) = (None, config);
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    count.unwrap_or_else(cores) * (3 + listeners)
}

/// What to say if a limit of descriptors does not hold all connections.
fn too_few(limit: u64, config: &Config, others: usize) -> Option<String> {
    let most = config.limits.max_connections;
    let others = SPARE_DESCRIPTORS + others as u64;
    let needed = (most as u64).saturating_add(others);
    let fit = limit.saturating_sub(others).max(1);
    (limit < needed).then(|| {
        format!(
            "--max-connections {most} takes {needed} descriptors, and the limit is {limit}: \
             have --max-connections {fit}, or raise the hard limit (ulimit -Hn {needed}, \
             LimitNOFILE={needed})"
        )
    })
}

fn run(
    listeners: Vec<Listener>,
    admin: Vec<Listener>,
    config: Config,
    tls: &Tls,
    app: App,
    times: StopTimes,
    shutdown: &Shutdown,
) -> io::Result<()> {
    let mut listeners = listeners.into_iter();
    let first = listeners.next().ok_or(io::ErrorKind::InvalidInput)?;
    let mut server = Server::from_listener(first)?;
    for listener in listeners {
        server = server.with_listener(listener)?;
    }
    #[cfg(feature = "deflate")]
    let app =
        app.with_compression(Compression::new(server.stats_handle(), config.compression.as_ref()));
    server = tls.apply(server);
    let app = &Arc::new(app);
    let stack_size = config.stack_size;
    let [upgrades, requests, errors, handler] = [(); 4].map(|()| Arc::clone(app));
    let server = server
        .config(config)
        .on_upgrade(move |request| upgrades.on_upgrade(request))
        .on_request(move |request| requests.on_request(request))
        .on_error(move |context, error| errors.on_error(context, error));
    app.arm(server.shutdown_handle());
    // It answers until all have ended.
    let _admin = admin::start(admin, stack_size, app)?;
    shutdown.arm(server.shutdown_handle(), app, times);
    let result = match app.engine() {
        Engine::Threads => server.run(move |conn| handler.handle(conn)),
        #[cfg(feature = "event-loop")]
        Engine::EventLoop => server.run_event_loop(event_loop::Handler::new(handler)),
        // No option says so.
        #[cfg(not(feature = "event-loop"))]
        Engine::EventLoop => Err(io::ErrorKind::Unsupported.into()),
    };
    #[cfg(feature = "backplane")]
    app.flush();
    result
}
