//! How to serve, as the command line and the environment say.

use std::path::PathBuf;
use std::time::Duration;

use barews::Config;
#[cfg(feature = "deflate")]
use barews::Deflate;

#[cfg(feature = "backplane")]
use crate::backplane::{self, Target};
use crate::log::Format;
use crate::os::address::Address;
use crate::routes::opening::subprotocol::Subprotocols;
use crate::tls::TlsOptions;

/// Stack size of a connection's thread, in bytes. The echo loop needs little, and of what is not
/// touched nothing is used; a panic's report needs the most.
const STACK_SIZE: usize = 128 << 10;

/// How to serve.
#[derive(Debug)]
pub struct Options {
    pub engine: Engine,
    /// Where to listen; empty for the default.
    pub listen: Vec<Address>,
    /// Where to listen for those who run it.
    pub admin: Vec<Address>,
    pub config: Config,
    /// Whether to compress.
    #[cfg(feature = "deflate")]
    pub compress: bool,
    /// And how.
    #[cfg(feature = "deflate")]
    pub deflate: Deflate,
    /// The names of the options that say so.
    #[cfg(feature = "deflate")]
    pub deflate_settings: Vec<&'static str>,
    /// Whether to encrypt, and as whom.
    pub tls: TlsOptions,
    /// By which the rooms of several processes are one.
    #[cfg(feature = "backplane")]
    pub backplane: Option<Target>,
    /// How much may wait for it, in bytes.
    #[cfg(feature = "backplane")]
    pub backplane_queue: usize,
    /// How long it takes to ask everybody to go, before a shutdown.
    pub drain: Duration,
    /// How long a shutdown waits for connections to close.
    pub grace: Duration,
    pub log: Format,
    /// Where more options stand.
    pub config_file: Option<PathBuf>,
    pub behaviour: Behaviour,
    /// What was ignored.
    pub warnings: Vec<String>,
}

/// What serves the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// A thread for each of them.
    #[default]
    Threads,
    /// A thread for each core, and many of them on each.
    EventLoop,
}

/// What the app does on requests and connections.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// Whether clients may ask for violations of the protocol.
    pub faults: bool,
    /// Which subprotocols are agreed to.
    pub subprotocols: Subprotocols,
    /// Whether `/headers` shows what lets a user in.
    pub show_credentials: bool,
    /// Whether each message has a line in the log.
    pub log_messages: bool,
    /// Whether the metrics are for `--admin` alone.
    pub private_metrics: bool,
}

impl Engine {
    pub const ALL: [Self; 2] = [Self::Threads, Self::EventLoop];

    pub fn name(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::EventLoop => "event-loop",
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            engine: Engine::default(),
            listen: Vec::new(),
            admin: Vec::new(),
            config: Config { stack_size: Some(STACK_SIZE), ..Config::default() },
            #[cfg(feature = "deflate")]
            compress: false,
            #[cfg(feature = "deflate")]
            deflate: Deflate::default(),
            #[cfg(feature = "deflate")]
            deflate_settings: Vec::new(),
            tls: TlsOptions::default(),
            #[cfg(feature = "backplane")]
            backplane: None,
            #[cfg(feature = "backplane")]
            backplane_queue: 64 << 20,
            drain: Duration::ZERO,
            grace: Duration::from_secs(3),
            log: Format::Text,
            config_file: None,
            behaviour: Behaviour::default(),
            warnings: Vec::new(),
        }
    }
}

#[cfg(feature = "deflate")]
impl Options {
    /// Compresses as the options say, once all are read.
    pub fn set_compression(&mut self) {
        self.config.compression = self.compress.then(|| self.deflate.clone());
        if !self.compress {
            // Else one who has forgotten it would measure what is not there.
            let names = self.deflate_settings.iter();
            self.warnings
                .extend(names.map(|name| format!("{name} does nothing without --deflate")));
        }
    }
}

#[cfg(feature = "backplane")]
impl Options {
    /// Takes out how rooms reach other processes, if they are to.
    pub fn take_backplane(&mut self) -> Option<backplane::Settings> {
        let target = self.backplane.take()?;
        let max_queue = self.backplane_queue;
        let max_message = usize::try_from(self.config.limits.max_message_size);
        let max_message = max_message.unwrap_or(usize::MAX);
        if max_message >= max_queue {
            self.warnings.push(format!(
                "a message of --max-message {max_message} does not go to other processes, since \
                 --backplane-queue {max_queue} is no longer than that"
            ));
        }
        Some(backplane::Settings { target, max_queue, max_message })
    }
}
