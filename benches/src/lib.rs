//! What the benchmarks of barews feed to it: frames as a client sends them, texts, a request.

pub mod memory;
pub mod sample;
#[cfg(any(feature = "compare", feature = "deflate"))]
pub mod deflate;
#[cfg(feature = "tls")]
pub mod tls;
