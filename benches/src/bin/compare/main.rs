//! Echo servers side by side: `compare --help`.
//!
//! Each row of work is done by each server in turn, a fresh process every time, and all of it
//! again in each round in another order; what is reported are medians over the rounds. The
//! server has one core and the load generator, this program, another.

mod outcome;
mod machine;
mod tls;
mod copy_rate;
mod results;
mod contestants;
mod work;
mod args;
mod server;
mod load;
mod report;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::{fs, io};

use args::{Command, Options};
use contestants::{Contestant, Role, Runtime};
use load::wait::Waiter;
use load::{churn, echo, idle};
use machine::Cores;
use outcome::Outcome;
use report::{plot, tables};
use results::{Figures, Results, Run};
use server::Server;
use tls::Identity;
use work::{Row, Work};

/// Descriptors that are no connections.
const SPARE_FILES: usize = 200;

fn main() -> ExitCode {
    let done = match args::parse(std::env::args().skip(1)) {
        Ok(Command::Print(text)) => {
            println!("{text}");
            Ok(())
        }
        Ok(Command::Needs(options)) => {
            needs(&options).iter().for_each(|need| println!("{need}"));
            Ok(())
        }
        Ok(Command::Run(options)) => run(&options),
        Ok(Command::Table(json)) => load(&json).map(|results| print!("{}", tables::all(&results))),
        Ok(Command::Plot(json, svg)) => {
            load(&json).and_then(|results| Ok(fs::write(svg, plot::svg(&results))?))
        }
        Ok(Command::Merge(json, newer)) => merge(&json, &newer),
        Err(wrong) => Err(wrong.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("compare: {wrong}");
            ExitCode::FAILURE
        }
    }
}

fn merge(json: &str, newer: &str) -> Outcome<()> {
    let mut results = load(json)?;
    results.replace(load(newer)?);
    println!("{}", serde_json::to_string_pretty(&results)?);
    Ok(())
}

/// What has to be installed for a run, besides what every run needs.
fn needs(options: &Options) -> BTreeSet<&'static str> {
    let servers = |row| options.servers.iter().filter(move |server| Row::is_for(row, server));
    let need = |row: &Row, server: &Contestant| match server.role {
        // Elsewhere they take part where they are installed.
        Role::Foreign(Runtime::Node) if row.work.offers_deflate() => Some("node"),
        Role::Foreign(Runtime::Python) => Some("python"),
        _ => None,
    };
    let needs = |row: &&'static Row| {
        let row = *row;
        servers(row).filter_map(move |server| need(row, server))
    };
    options.rows.iter().flat_map(needs).collect()
}

fn load(json: &str) -> Outcome<Results> {
    Ok(serde_json::from_reader(io::BufReader::new(fs::File::open(json)?))?)
}

fn run(options: &Options) -> Outcome<()> {
    let wanted = options.rows.iter().map(|row| row.work.connections()).max().unwrap_or(0);
    let open_files = machine::raise_open_files((wanted + SPARE_FILES) as u64)?;
    let cores = Cores::choose()?;
    cores.pin_this_thread()?;
    // First, before anything else is sent.
    let copy_rates = copy_rate::measure()?;
    let identity = Identity::new()?;
    let mut results =
        Results::new(machine::describe(&cores, options.sleep), options.rounds, options.seconds);
    results.copy_rates = copy_rates;
    let fits = |row: &Row| (row.work.connections() + SPARE_FILES) as u64 <= open_files;
    let (rows, too_large): (Vec<&Row>, Vec<&Row>) =
        options.rows.iter().copied().partition(|row| fits(row));
    for row in too_large {
        eprintln!("left out: {}: no more than {open_files} descriptors", row.title);
        results.left_out.push(row.title.to_owned());
    }
    let mut servers = options.servers.clone();
    servers.retain(|server| match starts(options, &cores, &rows, server, &identity) {
        Ok(()) => true,
        Err(error) => {
            let told = error.to_string();
            // Node.js begins with a line of its own code.
            let why = told.lines().find(|line| line.starts_with("Error")).or(told.lines().next());
            let (title, why) = (server.title, why.unwrap_or_default());
            eprintln!("left out: {title}, which benches/peers/install installs: {why}");
            results.left_out.push(server.title.to_owned());
            false
        }
    });
    for round in 0..options.rounds {
        for row in &rows {
            let mut servers: Vec<_> = servers.iter().filter(|server| row.is_for(server)).collect();
            // Nobody is always first.
            let len = servers.len();
            servers.rotate_left(round % len.max(1));
            for contestant in servers {
                let figures = measure(options, &cores, row, contestant, &identity)
                    .map_err(|e| format!("{}, {}: {e}", row.name, contestant.name))?;
                eprintln!(
                    "round {} of {}: {:<14}{:<26}{figures}",
                    round + 1,
                    options.rounds,
                    row.name,
                    contestant.title,
                );
                let (row, server) = (row.name.to_owned(), contestant.name.to_owned());
                results.runs.push(Run { row, server, round, figures });
                // What was measured so far survives whatever goes wrong later.
                if let Some(json) = &options.json {
                    fs::write(json, serde_json::to_string_pretty(&results)?)?;
                }
            }
        }
    }
    print!("{}", tables::all(&results));
    Ok(())
}

/// Whether a server that may not be installed starts for the first of these rows that it is for.
fn starts(
    options: &Options,
    cores: &Cores,
    rows: &[&Row],
    contestant: &Contestant,
    identity: &Identity,
) -> Outcome<()> {
    let row = rows.iter().find(|row| row.is_for(contestant));
    if let (Role::Foreign(_), Some(row)) = (contestant.role, row) {
        Server::start(contestant, row, options, cores, identity)?;
    }
    Ok(())
}

fn measure(
    options: &Options,
    cores: &Cores,
    row: &Row,
    contestant: &Contestant,
    identity: &Identity,
) -> Outcome<Figures> {
    let server = Server::start(contestant, row, options, cores, identity)?;
    let waiter = Waiter::new(options.sleep || cores.are_shared())?;
    let mut figures = match row.work {
        Work::Echo(load) => echo::measure(&server, load, waiter, options)?,
        Work::Churn { clients } => churn::measure(&server, clients, waiter, options)?,
        Work::Idle { connections } => idle::measure(&server, connections)?,
        Work::Deflate(texts) => echo::measure_deflate(&server, texts, waiter, options)?,
        Work::IdleDeflate { texts, messages } => {
            idle::measure_deflate(&server, texts, messages, waiter)?
        }
    };
    figures.peak_mib = server.peak_kib()? as f64 / 1024.0;
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_with_permessage_deflate_need_more_and_only_what_their_servers_do() {
        let needed = |args: &[&str]| match args::parse(args.iter().map(|&arg| arg.to_owned())) {
            Ok(Command::Needs(options)) => Vec::from_iter(needs(&options)),
            _ => panic!("{args:?} are no such arguments"),
        };
        assert_eq!(needed(&["needs"]), ["node", "python"]);
        assert!(needed(&["needs", "--rows", "ping1,idle"]).is_empty());
        let row = ["needs", "--rows", "ping1,idle-deflate", "--servers"];
        assert_eq!(needed(&[&row[..], &["uwebsockets,raw"]].concat()), ["node"]);
        assert!(needed(&[&row[..], &["barews,tungstenite"]].concat()).is_empty());
    }
}
