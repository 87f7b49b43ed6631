//! How long a peer may take for a message that is written bit by bit.

use std::time::{Duration, Instant};

/// How much of the time for earlier parts may be left, at the most: that for as many bytes as
/// a system keeps for a peer that has yet to take them.
const UNREAD: Duration = Duration::from_secs(64);

/// For the peer it is as if all parts came in one frame, so time that earlier ones have left is there
/// for later ones too.
pub(super) struct Pace {
    /// The write timeout, for an empty message.
    timeout: Duration,
    /// What is left of the time that the peer may take for what was sent, beside what the next part
    /// adds.
    left: Duration,
    /// Since when nothing is being sent.
    idle: Option<Instant>,
}

impl Pace {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, left: timeout, idle: None }
    }

    /// Has a part of `len` bytes sent within its time.
    pub(super) fn send<T, E>(
        &mut self,
        len: usize,
        send: impl FnOnce(Duration) -> Result<T, E>,
    ) -> Result<T, E> {
        let before = Instant::now();
        let within = self.time_for(len, before);
        let sent = send(within)?;
        let after = Instant::now();
        let most = self.timeout.saturating_add(UNREAD);
        self.left = within.saturating_sub(after - before).min(most);
        self.idle = Some(after);
        Ok(sent)
    }

    fn time_for(&self, len: usize, now: Instant) -> Duration {
        // While we had nothing to send, the peer could catch up.
        let idle = self.idle.map_or(Duration::ZERO, |since| now - since);
        let left = self.left.max(self.left.saturating_add(idle).min(self.timeout));
        left.saturating_add(Duration::from_micros((len as u64 * 1_000_000) >> 16))
    }
}
