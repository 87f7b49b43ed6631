//! Limits of one connection.

use std::time::Duration;

use crate::config::{Config, Limits, Timeouts};
use crate::http::Accept;
use crate::proto::DecoderLimits;

/// What holds for one connection in place of the server's [`Limits`] and [`Timeouts`], smaller or
/// larger; `None`, the default of each, is the server's.
///
/// ```no_run
/// use std::time::Duration;
///
/// use barews::{Accept, ConnectionLimits, Server};
///
/// # fn main() -> std::io::Result<()> {
/// let server = Server::bind("127.0.0.1:9001")?.on_upgrade(|request| match request.path() {
///     "/upload" => Ok(Accept::new().limits(ConnectionLimits {
///         max_message_size: Some(1 << 30),
///         message: Some(Duration::from_secs(3600)),
///         ..ConnectionLimits::default()
///     })),
///     _ => Ok(Accept::new()),
/// });
/// # server.run(|_| Ok(()))
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In place of [`Limits::max_message_size`], in bytes. [`Limits::max_buffered_bytes`], for all
    /// connections together, still holds.
    pub max_message_size: Option<u64>,
    /// In place of [`Limits::max_fragments`].
    pub max_fragments: Option<u32>,
    /// In place of [`Timeouts::message`].
    pub message: Option<Duration>,
    /// In place of [`Timeouts::ping_interval`].
    pub ping_interval: Option<Duration>,
    /// In place of [`Timeouts::idle_timeout`].
    pub idle_timeout: Option<Duration>,
    /// In place of [`Timeouts::write`].
    pub write: Option<Duration>,
}

/// What a connection holds its peer to, once it is open.
#[derive(Debug)]
pub(crate) struct OpenLimits {
    pub(crate) decoder: DecoderLimits,
    pub(crate) timeouts: Timeouts,
}

impl Accept {
    /// Holds this connection to other limits than the server's. Those that contradict each other, or
    /// what is left of the server's, are answered with 500, and
    /// [`UpgradeError::InvalidLimits`](crate::UpgradeError::InvalidLimits) says what would be right.
    ///
    /// The connection carries them, as what is [attached](Accept::attach).
    #[must_use]
    pub fn limits(self, limits: ConnectionLimits) -> Accept {
        self.attach(limits)
    }
}

impl OpenLimits {
    /// Those of a server.
    pub(crate) fn of(config: &Config) -> Self {
        Self { decoder: config.limits.for_decoder(), timeouts: config.timeouts.clone() }
    }

    /// Those of one connection of it.
    ///
    /// # Errors
    ///
    /// What is wrong with them, and what would be right.
    pub(crate) fn for_one(config: &Config, own: &ConnectionLimits) -> Result<Self, String> {
        let (limits, timeouts) = (&config.limits, &config.timeouts);
        let limits = Limits {
            max_message_size: own.max_message_size.unwrap_or(limits.max_message_size),
            max_fragments: own.max_fragments.unwrap_or(limits.max_fragments),
            ..limits.clone()
        };
        let timeouts = Timeouts {
            message: own.message.unwrap_or(timeouts.message),
            ping_interval: own.ping_interval.unwrap_or(timeouts.ping_interval),
            idle_timeout: own.idle_timeout.unwrap_or(timeouts.idle_timeout),
            write: own.write.unwrap_or(timeouts.write),
            ..timeouts.clone()
        };
        limits.validate().and_then(|()| timeouts.validate())?;
        Ok(Self { decoder: limits.for_decoder(), timeouts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_set_takes_the_place_of_the_servers() {
        let config = Config::default();
        let own = ConnectionLimits {
            max_message_size: Some(1),
            max_fragments: Some(2),
            message: Some(SECOND * 3),
            ping_interval: Some(SECOND * 4),
            idle_timeout: Some(SECOND * 5),
            write: Some(SECOND * 6),
        };
        let OpenLimits { decoder, timeouts } = OpenLimits::for_one(&config, &own).unwrap();
        assert_eq!((decoder.max_message_size, decoder.max_fragments), (1, 2));
        assert_eq!((timeouts.message, timeouts.ping_interval), (SECOND * 3, SECOND * 4));
        assert_eq!((timeouts.idle_timeout, timeouts.write), (SECOND * 5, SECOND * 6));
        assert_eq!(timeouts.close, config.timeouts.close);
        let none = OpenLimits::for_one(&config, &ConnectionLimits::default()).unwrap();
        assert_eq!(format!("{none:?}"), format!("{:?}", OpenLimits::of(&config)));
    }

    #[test]
    fn what_contradicts_is_refused() {
        let none = ConnectionLimits::default;
        for (own, right) in [
            (ConnectionLimits { max_fragments: Some(0), ..none() }, "1 is the least"),
            (ConnectionLimits { write: Some(Duration::ZERO), ..none() }, "Duration::MAX"),
            (ConnectionLimits { ping_interval: Some(SECOND * 120), ..none() }, "ping sooner"),
            (
                ConnectionLimits {
                    ping_interval: Some(SECOND * 2),
                    idle_timeout: Some(SECOND),
                    ..none()
                },
                "ping sooner",
            ),
        ] {
            let wrong = OpenLimits::for_one(&Config::default(), &own).expect_err(right);
            assert!(wrong.contains(right), "{wrong}");
        }
        // As with a server: a default that never comes to bear contradicts nobody.
        let short = ConnectionLimits { idle_timeout: Some(SECOND), ..none() };
        assert!(OpenLimits::for_one(&Config::default(), &short).is_ok());
    }
}
