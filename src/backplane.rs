//! Where a broadcast goes: to the members that this process has, or by way of a backplane to those of
//! other processes too.
//!
//! The library has the interface and the first of the two, so that a program changes one line to go
//! past one machine. What carries messages between processes takes a crate, and is the program's own
//! choice; `examples/scale_out.rs` does it with Redis.

use std::error::Error;
use std::fmt;

use crate::connection::OwnedMessage;

/// Where a broadcast goes.
///
/// A program that serves rooms gives each message to its backplane, and the backplane gives to the
/// program what is to be delivered, by a function that was handed to it when it was made: at once, as
/// [`Local`] does, or after it has been to all other processes, so that their members have it too.
///
/// ```
/// use barews::{Backplane, Local, OwnedMessage};
///
/// let backplane: Box<dyn Backplane> = Box::new(Local::new(|channel, message| {
///     // To each member of that room whom this process serves.
///     println!("{channel}: {message:?}");
/// }));
/// backplane.publish("tea", &OwnedMessage::from("it is four"))?;
/// # Ok::<(), barews::PublishError>(())
/// ```
pub trait Backplane: Send + Sync {
    /// Hands a message to everyone in a channel, in all processes. All messages of one thread to a
    /// channel arrive in order. It may wait, with a bound, for those before it to be on their way.
    ///
    /// # Errors
    ///
    /// The message goes to this process's own members only, or to nobody: see [`PublishError`].
    fn publish(&self, channel: &str, message: &OwnedMessage) -> Result<(), PublishError>;

    /// A member of this process has joined a channel: what others publish there is to be delivered
    /// here too. Returns once that is so, or after a bounded time. To be called for each member, since
    /// they are counted; without a backplane there is nothing to do.
    fn subscribe(&self, _channel: &str) {}

    /// A member has left. With the last one, the channel is of no interest any more.
    fn unsubscribe(&self, _channel: &str) {}
}

/// No backplane: what is published is delivered at once, to the members of this process.
pub struct Local<D>(D);

/// A message that was not published to other processes.
#[derive(Debug)]
#[non_exhaustive]
pub enum PublishError {
    /// So much waits to be published that there is no room for it.
    Full,
    /// Nobody can be reached, and this is why.
    Unreachable(Box<dyn Error + Send + Sync>),
}

impl<D: Fn(&str, &OwnedMessage) + Send + Sync> Local<D> {
    /// One that delivers by this function: to each member of the channel.
    pub fn new(deliver: D) -> Self {
        Self(deliver)
    }
}

impl<D: Fn(&str, &OwnedMessage) + Send + Sync> Backplane for Local<D> {
    fn publish(&self, channel: &str, message: &OwnedMessage) -> Result<(), PublishError> {
        (self.0)(channel, message);
        Ok(())
    }
}

impl<D> fmt::Debug for Local<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too much waits to be published"),
            Self::Unreachable(why) => write!(f, "the backplane cannot be reached: {why}"),
        }
    }
}

impl Error for PublishError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Full => None,
            Self::Unreachable(why) => Some(&**why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn local_delivers_in_order() {
        let delivered = Mutex::new(Vec::new());
        let local = Local::new(|channel: &str, message: &OwnedMessage| {
            delivered.lock().unwrap().push((channel.to_owned(), message.clone()));
        });
        let backplane: &dyn Backplane = &local;
        backplane.subscribe("a");
        for (channel, text) in [("a", "1"), ("b", "2"), ("a", "3")] {
            backplane.publish(channel, &text.into()).expect("it goes nowhere else");
        }
        backplane.unsubscribe("a");
        let expected = [("a", "1"), ("b", "2"), ("a", "3")];
        let expected = expected.map(|(channel, text)| (channel.to_owned(), text.into()));
        assert_eq!(*delivered.lock().unwrap(), expected);
    }
}
