//! Parts of compressed messages (RFC 7692): they are inflated from the read buffer straight into where
//! they belong.

use super::{FrameReader, Ready};
use crate::connection::message::Chunk;
use crate::error::Error;
use crate::proto::Decoder;
use crate::session::assembler::Target;
use crate::session::inflation::{Inflated, Inflation};

impl FrameReader {
    /// Compression was agreed on. No frame has been read yet.
    pub(crate) fn set_inflation(&mut self, inflation: Inflation) {
        let limits = self.shared.server.config.limits.for_decoder();
        self.decoder = Decoder::new(limits).with_compression();
        self.inflation = Some(Box::new(inflation));
    }

    /// Inflates a part of a message, as far as there is room, and puts the rest back; `None` if nothing
    /// has come of it yet.
    #[inline(never)]
    pub(super) fn inflate(
        &mut self,
        ready: Ready,
        target: &mut Target<'_>,
    ) -> Result<Option<Chunk>, Error> {
        let Ready { kind, mut at, fin, .. } = ready;
        let Some(inflation) = &mut self.inflation else {
            unreachable!("the decoder marks no part where nothing was agreed on");
        };
        let Inflated { used, len, done } =
            inflation.feed(kind, &self.buffer[at.clone()], fin, target)?;
        if !done {
            at.start += used;
            self.ready = Some(Ready { at, ..ready });
        }
        let fin = fin && done;
        Ok((len > 0 || fin).then_some(Chunk { kind, len, fin }))
    }
}
