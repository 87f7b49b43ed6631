//! Ciphertext on its way out.
//!
//! What was encrypted must be sent, in its order and once; but a stream may take a part of it and
//! then make us wait. So the rest stays here, and the plaintext counts as written only when all of
//! its ciphertext is: whoever writes comes again with the same bytes, and these are not encrypted a
//! second time.

use std::io::{self, ErrorKind, IoSlice};
use std::ops::DerefMut;

use crate::io::tls::session::Session;
use crate::io::transport::Transport;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Outgoing {
    /// Holds no memory when it is empty.
    bytes: Vec<u8>,
    /// How many of them are written.
    written: usize,
    /// How many bytes of a caller's plaintext they stand for.
    plaintext_len: usize,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is to be sent, to add to it.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Encrypts a piece of `bufs`, unless an earlier one is still on its way.
    ///
    /// # Errors
    ///
    /// If the session has failed.
    pub(super) fn encrypt<S>(
        &mut self,
        bufs: &[IoSlice<'_>],
        session: impl FnOnce() -> io::Result<S>,
    ) -> io::Result<()>
    where
        S: DerefMut<Target = Session>,
    {
        if self.plaintext_len == 0 {
            self.plaintext_len = session()?.encrypt(bufs, &mut self.bytes)?;
        }
        Ok(())
    }

    /// Writes once.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is a rest; those of the stream.
    pub(super) fn write_to(&mut self, stream: &dyn Transport) -> io::Result<()> {
        let rest = &self.bytes[self.written..];
        if !rest.is_empty() {
            self.written += match stream.write_vectored(&[IoSlice::new(rest)])? {
                0 => return Err(ErrorKind::WriteZero.into()),
                len => len,
            };
        }
        if self.written < self.bytes.len() {
            return Err(ErrorKind::WouldBlock.into());
        }
        (self.bytes, self.written) = (Vec::new(), 0);
        Ok(())
    }

    /// How many bytes of these are written, now that all their ciphertext is.
    pub(super) fn take_plaintext_len(&mut self, bufs: &[IoSlice<'_>]) -> usize {
        let given: usize = bufs.iter().map(|buf| buf.len()).sum();
        // A caller that did not come again with the same bytes is not told of more than it has.
        std::mem::take(&mut self.plaintext_len).min(given)
    }
}
