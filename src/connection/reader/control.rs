//! What control frames call for.

use super::{FrameReader, MAX_QUEUED, State};
use crate::error::Error;
use crate::proto::frame::{MAX_CONTROL, MAX_HEADER};
use crate::proto::{CloseFrame, Event, encoder};
use crate::session::CloseAction;
use crate::session::memory::reserve;

impl FrameReader {
    /// Answers a control frame other than Close (§5.5.2).
    pub(super) fn answer(&mut self, event: &Event) -> Result<(), Error> {
        if *event == Event::Pong {
            self.timed(|reader| {
                if let Some(on_pong) = &mut reader.on_pong {
                    on_pong(reader.decoder.control());
                }
            });
        } else if !self.shared.writer.is_closed() {
            self.shared.server.buffers.get(&mut self.queue);
            if !reserve(&mut self.queue, MAX_HEADER + MAX_CONTROL) {
                self.send_queue()?;
            }
            encoder::pong(self.decoder.control(), &mut self.queue);
        }
        if self.decoder.message_kind().is_none() {
            self.timers.message_ended();
        }
        if self.split && !self.queue.is_empty() {
            // It holds nothing else then, and must not wait for a blocked sender. Once our Close is
            // due, nothing is answered any more.
            self.timed(|reader| drop(reader.shared.writer.push_control(&reader.queue)));
            self.shared.server.buffers.put(&mut self.queue);
        } else if self.queue.len() >= MAX_QUEUED {
            self.send_queue()?;
        }
        Ok(())
    }

    /// The peer's Close has come: answers it, if it is no answer itself, and ends the stream.
    pub(super) fn closed(&mut self, frame: CloseFrame) {
        // If this fails, so does the Close; and the peer wants no more anyway.
        let _ = self.send_queue();
        self.close_frame = Some(Box::new(frame.clone()));
        self.end(State::Closed);
        self.shared.finish(CloseAction::Reply(frame));
    }
}
