//! permessage-deflate as a client has it (RFC 7692 §7), plainly: a state each way that lives as long
//! as its connection.

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

/// What a sync flush ends with, and a message does without (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// What the server has agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// The window that we may use, in bits.
    window_bits: u8,
    client_no_context_takeover: bool,
    server_no_context_takeover: bool,
}

/// Both halves of a connection.
pub(crate) struct Codec {
    agreed: Agreed,
    deflate: Deflate,
    inflate: Inflate,
    scratch: Vec<u8>,
}

impl Agreed {
    /// Reads the answer, the value of `Sec-WebSocket-Extensions`.
    ///
    /// # Errors
    ///
    /// If it is not one that permessage-deflate has.
    pub(crate) fn parse(value: &str) -> Result<Self, String> {
        let wrong = || format!("an answer of {value:?}");
        let mut parts = value.split(';').map(str::trim);
        if parts.next() != Some("permessage-deflate") {
            return Err(wrong());
        }
        let (mut window_bits, mut client, mut server) = (15, false, false);
        for part in parts {
            match part.split_once('=') {
                None if part == "client_no_context_takeover" => client = true,
                None if part == "server_no_context_takeover" => server = true,
                Some(("client_max_window_bits", bits)) => {
                    window_bits = bits.parse().map_err(|_| wrong())?;
                }
                // An inflater with the largest window understands any.
                Some(("server_max_window_bits", _)) => {}
                _ => return Err(wrong()),
            }
        }
        match window_bits {
            8..=15 => Ok(Self {
                window_bits,
                client_no_context_takeover: client,
                server_no_context_takeover: server,
            }),
            _ => Err(wrong()),
        }
    }

    /// Whether messages may refer to earlier ones in both directions.
    pub(crate) fn has_takeover(self) -> bool {
        !self.client_no_context_takeover && !self.server_no_context_takeover
    }
}

impl Codec {
    pub(crate) fn new(agreed: Agreed) -> Self {
        Self {
            agreed,
            // With 9 bits nothing is further back than 250 bytes, which 8 bits allow.
            deflate: Deflate::new(1, false, agreed.window_bits.max(9)),
            inflate: Inflate::new(false, 15),
            scratch: vec![0; 4 << 10],
        }
    }

    /// The payload of a message.
    pub(crate) fn deflate(&mut self, plain: &[u8]) -> Vec<u8> {
        if self.agreed.client_no_context_takeover {
            self.deflate.reset();
        }
        deflate(&mut self.deflate, plain)
    }

    /// Inflates part of a message, and at its end what it does without.
    ///
    /// # Errors
    ///
    /// If it is no DEFLATE, has a final block, which our server has no use for, or if `take` fails.
    pub(crate) fn inflate(
        &mut self,
        mut part: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(part, &mut self.scratch, InflateFlush::SyncFlush);
            if matches!(status, Err(_) | Ok(Status::StreamEnd)) {
                return Err("an echo that does not inflate".to_owned());
            }
            part = &part[(self.inflate.total_in() - read) as usize..];
            let len = (self.inflate.total_out() - written) as usize;
            take(&self.scratch[..len])?;
            // A full buffer may not be all there is.
            if len < self.scratch.len() {
                return if part.is_empty() {
                    Ok(())
                } else {
                    Err("an echo that stalls".to_owned())
                };
            }
        }
    }

    /// The same for what comes behind the last part.
    pub(crate) fn end(
        &mut self,
        take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        self.inflate(&TAIL, take)?;
        if self.agreed.server_no_context_takeover {
            self.inflate.reset(false);
        }
        Ok(())
    }
}

/// The payload of a message that refers to none before it, made with the largest window.
pub(crate) fn alone(plain: &[u8]) -> Vec<u8> {
    deflate(&mut Deflate::new(6, false, 15), plain)
}

fn deflate(state: &mut Deflate, plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0; plain.len() / 8 * 9 + 64];
    let before = (state.total_in(), state.total_out());
    let status = state.compress(plain, &mut out, DeflateFlush::SyncFlush);
    assert_eq!(status, Ok(Status::Ok));
    assert_eq!(state.total_in() - before.0, plain.len() as u64, "there was room for all");
    out.truncate((state.total_out() - before.1) as usize);
    assert!(out.ends_with(&TAIL));
    out.truncate(out.len() - TAIL.len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(answer: &str) -> Agreed {
        Agreed::parse(answer).unwrap()
    }

    #[test]
    fn an_answer_says_what_holds() {
        assert!(agreed("permessage-deflate").has_takeover());
        let some =
            agreed("permessage-deflate; server_no_context_takeover;client_max_window_bits=9");
        assert_eq!((some.window_bits, some.has_takeover()), (9, false));
        for wrong in [
            "",
            "foo",
            "permessage-deflate; foo",
            "permessage-deflate; \
            client_max_window_bits",
            "permessage-deflate; client_max_window_bits=16",
        ] {
            assert!(Agreed::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_one_deflates_another_inflates_in_any_pieces() {
        for answer in ["", "; client_no_context_takeover; server_no_context_takeover"] {
            let agreed = agreed(&format!("permessage-deflate{answer}"));
            let (mut one, mut other) = (Codec::new(agreed), Codec::new(agreed));
            for step in [1, 3, 10_000] {
                let plain = b"to be, or not to be: that ".repeat(900);
                let payload = one.deflate(&plain);
                let mut came = Vec::new();
                let mut take = |part: &[u8]| {
                    came.extend_from_slice(part);
                    Ok(())
                };
                for part in payload.chunks(step) {
                    other.inflate(part, &mut take).unwrap();
                }
                other.end(take).unwrap();
                assert_eq!(came, plain);
            }
            assert!(other.inflate(&[6], |_| Ok(())).is_err());
        }
    }
}
