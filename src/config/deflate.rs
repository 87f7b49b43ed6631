//! The settings of permessage-deflate.

/// How to compress, and what of it may cost how much (RFC 7692).
///
/// A connection keeps no state of a compressor, only the end of what was said before: its
/// *histories*. With the defaults these are 2 KiB of what was sent and 4 KiB of what came, or
/// 32 KiB of that from a client that lets nobody else choose its window.
///
/// ```no_run
/// use std::time::Duration;
///
/// use barews::{Accept, Config, Connection, Deflate, Server};
///
/// fn main() -> std::io::Result<()> {
///     let config = Config { compression: Some(Deflate::default()), ..Config::default() };
///     let server = Server::bind("127.0.0.1:9001")?
///         .config(config)
///         .on_upgrade(|request| Ok(Accept::new().compress(request.path() != "/secrets")));
///     let stats = server.stats_handle();
///     std::thread::spawn(move || {
///         loop {
///             std::thread::sleep(Duration::from_secs(60));
///             println!("{:?}", stats.deflate());
///         }
///     });
///     server.run(|mut conn: Connection| {
///         match conn.compression() {
///             Some(params) => println!("agreed on {params}"),
///             None => println!("the client offers nothing, or may not compress here"),
///         }
///         let mut buf = Vec::new();
///         while let Some(message) = conn.recv(&mut buf)? {
///             conn.send(message)?;
///             conn.send_uncompressed("a secret")?;
///         }
///         Ok(())
///     })
/// }
/// ```
///
/// # Security
///
/// A length tells what was compressed. Where a message has a secret in it beside text that an
/// attacker can choose, the attacker learns the secret from the lengths of a few hundred messages,
/// whatever the encryption (CRIME, BREACH). Send such a message with
/// [`send_uncompressed`](crate::Sender::send_uncompressed), or have none on such a connection:
/// [`Accept::compress`](crate::Accept::compress).
#[doc(alias = "permessage-deflate")]
#[derive(Debug, Clone)]
pub struct Deflate {
    /// How hard to try: 1 is the fastest, 9 the slowest. Default 3: 6 takes twice the time for
    /// 64 KiB, and saves a twentieth of the bytes; beyond 6 there is hardly more to save. Messages
    /// of up to 192 bytes are compressed at 1.
    pub level: u8,
    /// The window that messages to clients are compressed with, in bits, 9 to 15. Default 15. A
    /// client that asks for less gets less.
    pub server_max_window_bits: u8,
    /// The window that clients are asked to compress with, in bits, 9 to 15, and so the bytes that
    /// are kept of what they send. Default 12. Some give no choice, which is 15.
    pub client_max_window_bits: u8,
    /// Whether each message to a client is compressed by itself, as if none had come before. Default
    /// `false`: what messages have in common is then sent once.
    pub server_no_context_takeover: bool,
    /// Whether clients are asked for the same. Default `false`.
    pub client_no_context_takeover: bool,
    /// How much a message to a client may refer back to of those before it, in bytes, up to 32 KiB
    /// and no further than the window. Default 2 KiB. To tell a compressor of these takes 1 µs, and
    /// of 32 KiB 50. With 0 each is compressed by itself, as with
    /// [`server_no_context_takeover`](Self::server_no_context_takeover).
    pub history: usize,
    /// The shortest message that is compressed, in bytes. Default 32. One that a
    /// [`MessageWriter`](crate::MessageWriter) sends is compressed whatever its length.
    pub threshold: usize,
    /// The same where it cannot refer to those before it, without context takeover or in an
    /// [`OwnedMessage`](crate::OwnedMessage). Default 256: 64 bytes gain nothing then.
    pub threshold_no_context: usize,
    /// Bytes for the histories of all connections of a server, and for codecs that are lent to
    /// messages under way, half of it for each. Default 256 MiB: for 21,000 clients that have 6 KiB
    /// each, and 2,700 messages that wait for their peers. A connection whose histories do not fit
    /// opens without takeover. A message for which no codec is left waits for its end as it came, and
    /// is refused with 1013 beyond 16 KiB; one to be sent is sent as it is. A connection of an
    /// [`Upgrade`](crate::Upgrade) without a server has this much for itself.
    pub max_memory: u64,
}

impl Deflate {
    pub(super) fn validate(&self) -> Result<(), String> {
        for (name, value, least, most) in [
            ("level", self.level, 1, 9),
            ("server_max_window_bits", self.server_max_window_bits, 9, 15),
            ("client_max_window_bits", self.client_max_window_bits, 9, 15),
        ] {
            if !(least..=most).contains(&value) {
                return Err(format!(
                    "compression.{name} is {value}; it goes from {least} to {most}"
                ));
            }
        }
        if self.history > 32 << 10 {
            let history = self.history;
            return Err(format!(
                "compression.history is {history} bytes; no message refers further back than 32768"
            ));
        }
        Ok(())
    }
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            level: 3,
            server_max_window_bits: 15,
            client_max_window_bits: 12,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            history: 2 << 10,
            threshold: 32,
            threshold_no_context: 256,
            max_memory: 256 << 20,
        }
    }
}
