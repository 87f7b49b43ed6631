//! Puts load on a server, attacks it, and holds it to bounds. `run` builds and starts this.
//!
//! Each run starts a server of its own, as a process, and looks at it from outside. The clients
//! are all in here, a thread or two of them, and wait for events: so thousands cost little, and
//! what is measured is the server.

mod attacker;
mod bomb;
mod client;
mod codec;
mod company;
mod echo;
mod frame;
mod histogram;
mod hostile;
mod identity;
mod knock;
mod payload;
mod plan;
mod probe;
mod reactor;
mod report;
mod run;
mod selftest;
mod server;
mod socket;
mod stream;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use plan::Plan;
use report::{NoReport, TABLE_HEAD};
use run::Run;
use server::Program;

const USAGE: &str = "usage: soak SERVER [SECONDS] [RUN...]";
const SECONDS: u64 = 20;

/// A bound does not hold.
const BROKEN: u8 = 1;
const WRONG_USAGE: u8 = 2;
/// What can be held holds, but not all can.
const SKIPPED: u8 = 77;

fn main() -> ExitCode {
    let (program, length, runs, selftest) = match parse(std::env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(wrong) => {
            eprintln!("soak: {wrong}");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    if selftest && !selftest::run() {
        return ExitCode::from(BROKEN);
    }
    let (mut table, mut broken, mut skipped) = (String::new(), Vec::new(), false);
    for run in runs {
        eprintln!("soak: {} for {} s", run.name, length.as_secs());
        match (run.hold)(&Plan { program: &program, length, divisor: 1 }) {
            Ok(report) => {
                table += &report.rows();
                let run = run.name;
                broken.extend(report.broken().map(|what| format!("{run}: {what}")));
            }
            Err(NoReport::NoServer(why)) => broken.push(format!("{}: {why}", run.name)),
            Err(NoReport::Impossible(why)) => {
                table += &format!("| **{}** | not possible: {why} | | | | skipped |\n", run.name);
                skipped = true;
            }
        }
    }
    if !table.is_empty() {
        println!("{TABLE_HEAD}{table}");
    }
    for what in &broken {
        eprintln!("soak: BROKEN {what}");
    }
    match (broken.is_empty(), skipped) {
        (true, false) => ExitCode::SUCCESS,
        (true, true) => ExitCode::from(SKIPPED),
        (false, _) => ExitCode::from(BROKEN),
    }
}

type Parsed = (Program, Duration, Vec<&'static Run>, bool);

fn parse(mut args: impl Iterator<Item = String>) -> Result<Parsed, String> {
    let path = PathBuf::from(args.next().ok_or(USAGE)?);
    let (mut seconds, mut runs, mut selftest) = (SECONDS, Vec::new(), false);
    let mut args = args.peekable();
    if let Some(number) = args.peek().and_then(|arg| arg.parse().ok()) {
        seconds = number;
        args.next();
    }
    if !(4..=86_400).contains(&seconds) {
        return Err(format!("{seconds} seconds are too few or too many"));
    }
    for name in args {
        let run = run::ALL.iter().find(|run| run.name == name);
        match run {
            Some(run) => runs.push(run),
            None if name == "self-test" => selftest = true,
            None => {
                let names: Vec<&str> = run::ALL.iter().map(|run| run.name).collect();
                return Err(format!("no run {name}: {}, self-test", names.join(", ")));
            }
        }
    }
    if runs.is_empty() && !selftest {
        runs.extend(&run::ALL);
    }
    let program = Program::new(&path, None);
    let program = program.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok((program, Duration::from_secs(seconds), runs, selftest))
}
