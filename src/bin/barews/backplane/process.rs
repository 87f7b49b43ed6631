//! What the threads of the backplane share: which rooms this process has members in, and what they need.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::Connection;

use super::channel::{Channel, ChannelShared};
use super::report::Report;
use super::target::{Failure, Target};

/// What the names of channels of rooms begin with.
pub const CHANNEL_PREFIX: &str = "barews:room:";

/// How long Redis may take to answer, or to take what is written.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// What the threads share.
pub struct Process {
    pub target: Target,
    /// By which time is told in beats.
    pub start: Instant,
    pub context: ChannelShared,
    pub report: Report,
    pub channels: Mutex<Channels>,
}

/// The rooms that this process has members in.
#[derive(Default)]
pub struct Channels {
    /// With how many members.
    channels: HashMap<Arc<str>, (Arc<Channel>, usize)>,
    /// Those that the link has to look at.
    changed: HashSet<Arc<str>>,
    runs: u64,
}

/// Both connections of a process.
pub struct Connections {
    pub subscriber: Connection,
    pub publisher: Connection,
}

impl Process {
    pub fn connect(&self) -> Result<Connections, Failure> {
        let subscriber = self.target.connect()?;
        Ok(Connections { subscriber, publisher: self.target.connect()? })
    }

    pub fn channels(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channels {
    pub fn find(&self, name: &str) -> Option<Arc<Channel>> {
        self.channels.get(name).map(|(channel, _)| Arc::clone(channel))
    }

    pub fn all(&self) -> impl Iterator<Item = Arc<Channel>> {
        self.channels.values().map(|(channel, _)| Arc::clone(channel))
    }

    /// The room, and whether it is new.
    pub fn add_member(&mut self, name: &str) -> (Arc<Channel>, bool) {
        if let Some((channel, members)) = self.channels.get_mut(name) {
            *members += 1;
            return (Arc::clone(channel), false);
        }
        let name: Arc<str> = name.into();
        self.runs += 1;
        let channel = Arc::new(Channel::new(Arc::clone(&name), self.runs));
        self.changed.insert(Arc::clone(&name));
        self.channels.insert(name, (Arc::clone(&channel), 1));
        (channel, true)
    }

    pub fn remove_member(&mut self, name: &str) {
        let Some((channel, members)) = self.channels.get_mut(name) else { return };
        *members -= 1;
        if *members == 0 {
            let name = Arc::clone(&channel.name);
            self.channels.remove(&name);
            self.changed.insert(name);
        }
    }

    pub fn take_changed(&mut self) -> HashSet<Arc<str>> {
        std::mem::take(&mut self.changed)
    }

    /// Has the link look at all of them.
    pub fn all_changed(&mut self) {
        self.changed.extend(self.channels.keys().cloned());
    }
}

/// The channel by which a process hears itself.
pub fn process_channel(origin: u64) -> String {
    format!("barews:process:{origin:016x}")
}

/// A random number: a hasher of random keys is all the randomness that std has.
pub fn random() -> u64 {
    RandomState::new().hash_one(0)
}
