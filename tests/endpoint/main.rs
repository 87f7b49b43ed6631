//! The program as an endpoint for testing clients: its paths, its plain HTTP, its ways to be
//! started.

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[path = "../common/mod.rs"]
mod common;

/// The listener for those who run it, the drain, the metrics.
mod admin;
/// What the paths, the log and the metrics do at their edges.
mod app_edges;
/// What has the Tab key complete options.
#[cfg(unix)]
mod completions;
/// Compression, where the program was built with it.
#[cfg(feature = "deflate")]
mod deflate;
/// Paths that speak for themselves.
mod by_hand;
/// The same on every kind of stream.
mod by_hand_streams;
/// Where it is, whether it is up, options in a file, typing errors.
mod first_minute;
/// Where the program meets the system.
mod os_edges;
/// The sockets that it meets there.
#[cfg(target_os = "linux")]
mod os_sockets;
/// Each path as it is documented.
mod paths;
/// Those that are about the handshake.
mod paths_opening;
/// Those that send by the clock.
mod paths_timed;
/// The page, the health check, the metrics.
mod plain;
/// TLS, where the program was built with it.
#[cfg(feature = "tls")]
mod tls;
/// The files of a certificate.
#[cfg(feature = "tls")]
mod tls_files;
/// Arguments, the environment, listeners of all kinds, the log.
mod starting;
