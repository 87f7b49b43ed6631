//! The parts of the codec by themselves, each beside a naive version and, where a crate exposes
//! its own, the peers': `cargo bench`. Every benchmark looks at its result before it is timed.

mod encode;
mod feed;
mod head;
mod header;
mod mask;
mod memory;
mod utf8;

use std::time::Duration;

fn main() {
    divan::Divan::from_args()
        .bytes_format(divan::counter::BytesFormat::Decimal)
        .max_time(Duration::from_millis(500))
        .main();
}
