//! A stream of any kind, as what is above it uses it.

#[cfg(feature = "tls")]
use std::io;
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
    /// The same below something else.
    #[cfg(all(feature = "event-loop", feature = "tls"))]
    OverLoop(Box<(Box<dyn Transport>, Arc<LoopStream>)>),
}

impl Stream {
    /// The stream below something else, such as TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn below<T: Transport>(
        self,
        over: impl FnOnce(Self) -> io::Result<T>,
    ) -> io::Result<Self> {
        #[cfg(feature = "event-loop")]
        if let Self::Loop(stream) = &self {
            let stream = Arc::clone(stream);
            return Ok(Self::OverLoop(Box::new((Box::new(over(self)?), stream))));
        }
        Ok(Self::Other(Box::new(over(self)?)))
    }

    /// What an event loop waits for, if that is so.
    #[cfg(feature = "event-loop")]
    pub(crate) fn loop_stream(&self) -> Option<&LoopStream> {
        match self {
            Self::Tcp(_) | Self::Other(_) => None,
            Self::Loop(stream) => Some(stream),
            #[cfg(feature = "tls")]
            Self::OverLoop(both) => Some(&both.1),
        }
    }
}

impl Deref for Stream {
    type Target = dyn Transport;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Tcp(stream) => stream,
            Self::Other(stream) => &**stream,
            #[cfg(feature = "event-loop")]
            Self::Loop(stream) => &**stream,
            #[cfg(all(feature = "event-loop", feature = "tls"))]
            Self::OverLoop(both) => &*both.0,
        }
    }
}
