//! The command line.

use crate::contestants::{CONTESTANTS, Contestant};
use crate::work::{ROWS, Row};

pub(crate) enum Command {
    Print(String),
    Run(Options),
    /// What a run would need.
    Needs(Options),
    /// The tables of a JSON file.
    Table(String),
    /// The plot of a JSON file, and where it goes.
    Plot(String, String),
    /// A JSON file, and one whose rows are to be in it.
    Merge(String, String),
}

pub(crate) struct Options {
    pub(crate) rounds: usize,
    /// Measured in each run, after the warm-up.
    pub(crate) seconds: f64,
    pub(crate) rows: Vec<&'static Row>,
    pub(crate) servers: Vec<&'static Contestant>,
    /// Whether the load generator sleeps when it has nothing to do.
    pub(crate) sleep: bool,
    /// Where the results go besides standard output.
    pub(crate) json: Option<String>,
    /// The programs to start.
    pub(crate) barews: String,
    pub(crate) peers: String,
    /// The folder of the servers in other languages.
    pub(crate) foreign: String,
    /// A program with uWebSockets, where it is not in that folder.
    pub(crate) uwebsockets: Option<String>,
}

impl Options {
    /// What comes before the measured seconds: every byte that comes back is checked.
    pub(crate) fn warm_up(&self) -> f64 {
        self.seconds / 4.0
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rounds: 5,
            seconds: 2.0,
            rows: ROWS.iter().collect(),
            servers: CONTESTANTS.iter().collect(),
            sleep: false,
            json: None,
            barews: "barews".to_owned(),
            peers: "peers".to_owned(),
            foreign: "peers".to_owned(),
            uwebsockets: None,
        }
    }
}

pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut options = Options::default();
    let mut command: fn(Options) -> Command = Command::Run;
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} takes a value"));
        let invalid = |value: &str| format!("{arg}: {value} is not valid");
        match arg.as_str() {
            "-h" | "--help" => return Ok(Command::Print(help())),
            "needs" => command = Command::Needs,
            "table" => return Ok(Command::Table(value()?)),
            "plot" => return Ok(Command::Plot(value()?, value()?)),
            "merge" => return Ok(Command::Merge(value()?, value()?)),
            "--rounds" => {
                let value = value()?;
                let rounds = value.parse().ok().filter(|&rounds: &usize| rounds > 0);
                options.rounds = rounds.ok_or_else(|| invalid(&value))?;
            }
            "--seconds" => {
                let value = value()?;
                let seconds = value.parse().ok().filter(|s| (0.05..3600.0).contains(s));
                options.seconds = seconds.ok_or_else(|| invalid(&value))?;
            }
            "--rows" => options.rows = list(&value()?, "row", Row::named)?.concat(),
            "--servers" => {
                let named = |name: &str| Vec::from_iter(Contestant::named(name));
                options.servers = list(&value()?, "server", named)?.concat();
            }
            "--sleep" => options.sleep = true,
            "--json" => options.json = Some(value()?),
            "--barews" => options.barews = value()?,
            "--peers" => options.peers = value()?,
            "--foreign" => options.foreign = value()?,
            "--uwebsockets" => options.uwebsockets = Some(value()?),
            _ => return Err(format!("there is no option {arg}; see --help")),
        }
    }
    Ok(command(options))
}

/// What each of the names means, which is something at least.
fn list<T>(names: &str, what: &str, named: impl Fn(&str) -> Vec<T>) -> Result<Vec<Vec<T>>, String> {
    let one = |name| match named(name) {
        found if found.is_empty() => Err(format!("there is no {what} {name}; see --help")),
        found => Ok(found),
    };
    names.split(',').map(one).collect()
}

fn help() -> String {
    let mut help = "\
Echo servers side by side, all driven by the same load generator.

  compare [OPTION...]              measure, and print Markdown tables
      --rounds N                   how often [5]
      --seconds S                  measured in each run, after S/4 to warm up [2]
      --rows ROW,...               only these; plain, deflate and tls are all rows of that kind
      --servers SERVER,...         only these
      --uwebsockets PROGRAM        has uWebSockets, and is started as PROGRAM PORT
      --sleep                      the load generator sleeps when it has nothing to do, and
                                   servers wake it; without, it asks again and again
      --json FILE                  write the results there too
  compare needs [OPTION...]        what has to be installed for that
  compare table FILE               the tables of such a file
  compare plot FILE SVG            its plot
  compare merge FILE NEWER         prints such a file: what NEWER has of a row replaces all of it

Rows:
"
    .to_owned();
    for row in ROWS {
        help.push_str(&format!("  {:<26}{}\n", row.name, row.title));
    }
    help.push_str("\nServers:\n");
    for server in CONTESTANTS {
        help.push_str(&format!("  {:<26}{}\n", server.name, server.title));
    }
    help.pop();
    help
}
