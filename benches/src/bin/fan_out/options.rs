//! The command line.

use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const HELP: &str = "\
One message to many receivers, through a queue for each.

  fan_out [OPTION...]
      --receivers N    that read [5000]
      --stuck N        that never do [0]
      --batch N        messages that are sent in a row [64]
      --apart yes      one call for each of them [no: one for all]
      --rounds N       how often [30]
      --pause MS       in between [50]
      --size N         bytes of payload a message, at least 8 and at most 125 [100]";

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) receivers: usize,
    pub(crate) stuck: usize,
    pub(crate) batch: usize,
    /// Whether each message of a batch is sent by itself.
    pub(crate) apart: bool,
    pub(crate) rounds: usize,
    pub(crate) pause: Duration,
    pub(crate) size: usize,
    /// Where the receivers connect to, if this is their process.
    pub(crate) receive_from: Option<SocketAddr>,
}

impl Options {
    /// `None` asks for help.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let pause = Duration::from_millis(50);
        let (receivers, stuck, batch, rounds, size) = (5000, 0, 64, 30, 100);
        let mut options =
            Self { receivers, stuck, batch, apart: false, rounds, pause, size, receive_from: None };
        while let Some(arg) = args.next() {
            if let "-h" | "--help" = arg.as_str() {
                return Ok(None);
            }
            let value = args.next().ok_or_else(|| format!("{arg} takes a value"))?;
            let invalid = |_| format!("{arg}: {value} is not valid");
            if arg == "receive" {
                options.receive_from = Some(value.parse().map_err(|_| "no address")?);
                continue;
            }
            if arg == "--apart" {
                options.apart = value == "yes";
                continue;
            }
            let number: usize = value.parse().map_err(invalid)?;
            match arg.as_str() {
                "--receivers" => options.receivers = number,
                "--stuck" => options.stuck = number,
                "--batch" => options.batch = number,
                "--rounds" => options.rounds = number,
                "--pause" => options.pause = Duration::from_millis(number as u64),
                "--size" if (8..=125).contains(&number) => options.size = number,
                _ => return Err(format!("there is no option {arg} {value}; see --help")),
            }
        }
        Ok(Some(options))
    }

    /// The arguments of the receivers' process.
    pub(crate) fn for_receivers(&self, addr: SocketAddr) -> Vec<String> {
        let Self { receivers, stuck, batch, rounds, size, .. } = self;
        let args = [
            ("receive", addr.to_string()),
            ("--receivers", receivers.to_string()),
            ("--stuck", stuck.to_string()),
            ("--batch", batch.to_string()),
            ("--rounds", rounds.to_string()),
            ("--size", size.to_string()),
        ];
        args.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }
}
