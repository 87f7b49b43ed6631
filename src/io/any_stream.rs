//! A stream of any kind, as what is above it uses it.

use std::net::TcpStream;
use std::ops::Deref;
#[cfg(feature = "event-loop")]
use std::sync::Arc;

#[cfg(feature = "event-loop")]
use crate::io::loop_stream::LoopStream;
use crate::io::transport::Transport;

/// A stream of any kind. The usual one is not worth a box.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Other(Box<dyn Transport>),
    /// One that an event loop waits for, which has it too.
    #[cfg(feature = "event-loop")]
    Loop(Arc<LoopStream>),
}

impl Deref for Stream {
    type Target = dyn Transport;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Tcp(stream) => stream,
            Self::Other(stream) => &**stream,
            #[cfg(feature = "event-loop")]
            Self::Loop(stream) => &**stream,
        }
    }
}
