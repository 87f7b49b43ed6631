//! Who begins the next message.
//!
//! Whoever sends one message behind the other leaves nobody a gap: it is back before a thread that waits
//! has woken. So who has found others writing is in line, and those who come later wait. Each kind has one
//! place; of several that wait for it any may have it, and the others are in line again, behind the
//! other kinds.

/// Who waits to begin a message.
#[derive(Clone, Copy)]
pub(crate) enum Waiter {
    /// A thread that does nothing else.
    Thread = 1,
    /// The turn of a queue, which comes back from time to time.
    Queue = 2,
    /// The event loop of the connection.
    Loop = 3,
}

/// Those in line, the first in the lowest [`PLACE`]; and whether a message is being sent in fragments
/// (§5.4), so that no other may begin.
#[derive(Clone, Copy, Default)]
pub(super) struct Line(u8);

const PLACE: u8 = 0b11;
const PLACES: [u8; 3] = [0, 2, 4];
const FRAGMENTED: u8 = 1 << 7;

impl Line {
    pub(super) fn set_fragmented(&mut self, is_fragmented: bool) {
        self.0 = self.0 & !FRAGMENTED | if is_fragmented { FRAGMENTED } else { 0 };
    }

    /// Whether this one in line, or somebody who is not, may begin a message.
    #[inline]
    pub(super) fn admits(self, waiter: Option<Waiter>) -> bool {
        self.0 & (FRAGMENTED | PLACE) == 0 || waiter.is_some_and(|waiter| self.is_first(waiter))
    }

    /// Whether the next message is this one's, and may begin.
    #[inline]
    pub(super) fn is_first(self, waiter: Waiter) -> bool {
        self.0 & (FRAGMENTED | PLACE) == waiter as u8
    }

    /// Puts this one behind all others, if none of its kind is in line; whether none was.
    pub(super) fn join(&mut self, waiter: Waiter) -> bool {
        self.push(waiter as u8)
    }

    /// Takes this one out of the line, wherever it is.
    #[inline]
    pub(super) fn remove(&mut self, waiter: Waiter) {
        if self.0 != 0 {
            self.take_out(waiter as u8);
        }
    }

    #[cold]
    fn take_out(&mut self, kind: u8) {
        let line = *self;
        self.0 &= FRAGMENTED;
        for other in PLACES.map(|place| line.0 >> place & PLACE) {
            if other != 0 && other != kind {
                self.push(other);
            }
        }
    }

    fn push(&mut self, kind: u8) -> bool {
        for place in PLACES {
            match self.0 >> place & PLACE {
                0 => {
                    self.0 |= kind << place;
                    return true;
                }
                other if other == kind => break,
                _ => {}
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Waiter};

    const KINDS: [Waiter; 3] = [Waiter::Thread, Waiter::Queue, Waiter::Loop];

    /// In whichever order they come, and whoever gives up: the others keep their order.
    #[test]
    fn first_come_first_served() {
        for order in 0..27 {
            let order = [order / 9, order / 3 % 3, order % 3].map(|kind: usize| KINDS[kind]);
            for gone in KINDS {
                let mut line = Line::default();
                let mut wanted: Vec<u8> = Vec::new();
                for waiter in order {
                    let is_new = !wanted.contains(&(waiter as u8));
                    assert_eq!(line.join(waiter), is_new);
                    wanted.extend(is_new.then_some(waiter as u8));
                }
                line.remove(gone);
                wanted.retain(|&kind| kind != gone as u8);
                for kind in wanted {
                    assert!(!line.admits(None));
                    let first = KINDS.into_iter().find(|&waiter| line.is_first(waiter)).unwrap();
                    assert_eq!(first as u8, kind);
                    assert!(line.admits(Some(first)));
                    line.remove(first);
                }
                assert!(line.admits(None) && line.admits(Some(Waiter::Loop)));
            }
        }
    }

    #[test]
    fn nobody_begins_a_message_between_fragments() {
        let mut line = Line::default();
        line.set_fragmented(true);
        assert!(line.join(Waiter::Loop));
        assert!(!line.admits(Some(Waiter::Loop)) && !line.is_first(Waiter::Loop));
        line.set_fragmented(false);
        assert!(line.is_first(Waiter::Loop));
        line.set_fragmented(true);
        line.remove(Waiter::Loop);
        assert!(!line.admits(None));
        line.set_fragmented(false);
        assert!(line.admits(None));
    }
}
