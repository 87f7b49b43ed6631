//! TLS: as whom the server speaks, and what there is to tell of it.
//!
//! ```text
//! --tls-cert, --tls-key ── files ──> Identity ──> ServerConfig ──> the library
//!                SIGHUP ── reload ──────┘ ↑
//! --tls-self-signed ── made anew ─────────┘──> standard output, /cert.pem
//!     der, certificate: what a certificate says, for the log and the metrics
//!     unverified: the client's side, for the health check
//!     agreed: what a connection has agreed on, and why others failed
//! ```
//!
//! The handshake and the encryption are the library's (`barews::rustls`). Nothing here looks at a
//! byte of a peer's.

pub mod agreed;
mod der;
mod certificate;
mod files;
mod identity;
mod reload;
mod self_signed;
mod unverified;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use barews::rustls::crypto::ring;
use barews::rustls::server::ResolvesServerCert;
use barews::rustls::{ALL_VERSIONS, ServerConfig};
use barews::{Listener, Server};

use certificate::Description;
pub use identity::Identity;
pub use unverified::unverified;

use crate::log::Log;
use crate::os::address::Address;

/// What the command line says of TLS.
#[derive(Debug, Default)]
pub struct TlsOptions {
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// The names for a certificate of our own making; none for those that go without saying.
    pub self_signed: Option<Vec<String>>,
}

/// A server's TLS, if it has any.
pub struct Tls(Option<Certified>);

/// The certificate that it started with.
struct Certified {
    config: Arc<ServerConfig>,
    identity: Arc<Identity>,
    source: Source,
    description: Description,
    warnings: Vec<String>,
}

/// Where it comes from.
enum Source {
    Files {
        cert: PathBuf,
        key: PathBuf,
    },
    /// It is of our own making, so clients have to be given it: in PEM.
    SelfSigned(Arc<str>),
}

/// A family of the metrics: its name, its type, what it is, and its values behind their labels.
pub type Family = (&'static str, &'static str, &'static str, Vec<(&'static str, u64)>);

impl TlsOptions {
    /// Whether the server is to speak it.
    pub fn is_on(&self) -> bool {
        self.is_reloadable() || self.self_signed.is_some()
    }

    /// Whether there are files to be read again.
    pub fn is_reloadable(&self) -> bool {
        self.cert.is_some() || self.key.is_some()
    }
}

impl Tls {
    /// Reads the certificate, or makes one for a server that listens there and was passed these
    /// listeners. An error is a line.
    pub fn open(
        options: TlsOptions,
        listen: &[Address],
        passed: &[Listener],
    ) -> Result<Self, String> {
        let (loaded, source) = match (options.cert, options.key, options.self_signed) {
            (None, None, None) => return Ok(Self(None)),
            (None, None, Some(names)) => {
                let (loaded, pem) = self_signed::make(names, listen, passed)?;
                (loaded, Source::SelfSigned(pem.into()))
            }
            (Some(cert), Some(key), None) => {
                (files::load(&cert, &key)?, Source::Files { cert, key })
            }
            (_, _, Some(_)) => return Err(BOTH.to_owned()),
            (Some(_), None, None) => return Err(NO_KEY.to_owned()),
            (None, Some(_), None) => return Err(NO_CERT.to_owned()),
        };
        let identity = Arc::new(Identity::new(&loaded));
        Ok(Self(Some(Certified {
            config: config(identity.clone())?,
            identity,
            source,
            description: loaded.description,
            warnings: loaded.warnings,
        })))
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Has the server speak it.
    pub fn apply(&self, server: Server) -> Server {
        match &self.0 {
            Some(certified) => server.tls(Arc::clone(&certified.config)),
            None => server,
        }
    }

    /// As whom it speaks.
    pub fn identity(&self) -> Option<Arc<Identity>> {
        self.0.as_ref().map(|certified| Arc::clone(&certified.identity))
    }

    /// The certificate to be handed out.
    pub fn certificate_pem(&self) -> Option<Arc<str>> {
        match &self.0.as_ref()?.source {
            Source::SelfSigned(pem) => Some(Arc::clone(pem)),
            Source::Files { .. } => None,
        }
    }

    /// Says what the certificate is, and what is wrong with it; and hands it out if it is of our own
    /// making: to standard output, from where a script can take it.
    pub fn announce(&self, log: &Log) {
        let Some(Certified { description, warnings, source, .. }) = &self.0 else { return };
        let what = if matches!(source, Source::SelfSigned(_)) { "self-signed " } else { "" };
        let text = || format!("{what}{}", description.shown());
        log.log_event("certificate", text, || description.fields());
        for warning in warnings {
            log.log_text("warning", warning.clone());
        }
        if let Source::SelfSigned(pem) = source
            && let Err(error) = self_signed::print(pem)
        {
            log.log_text("warning", format!("cannot print the certificate: {error}"));
        }
    }

    /// Has the files, if there are any, read anew at each request.
    pub fn reload_on(&self, requests: Receiver<()>, log: &Log) -> io::Result<()> {
        match &self.0 {
            Some(Certified { source: Source::Files { cert, key }, identity, .. }) => {
                let (cert, key, identity) = (cert.clone(), key.clone(), Arc::clone(identity));
                reload::start(cert, key, identity, requests, log.clone())
            }
            _ => Ok(()),
        }
    }
}

const BOTH: &str = "--tls-self-signed makes a certificate, and --tls-cert and --tls-key name one: \
                    have either";
const NO_KEY: &str = "--tls-cert needs --tls-key, the file of the certificate's private key; where \
                      one file has both, name it twice";
const NO_CERT: &str = "--tls-key needs --tls-cert, the file of the certificate that the key is of; \
                       where one file has both, name it twice";

/// What the metrics tell.
pub fn families(identity: &Identity) -> impl Iterator<Item = Family> {
    let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let reloads = vec![
        ("{result=\"ok\"}", load(&identity.reloads)),
        ("{result=\"failed\"}", load(&identity.failed_reloads)),
    ];
    let expiry = u64::try_from(identity.not_after()).unwrap_or(0);
    let name = "tls_certificate_expiry_timestamp_seconds";
    let help = "When the certificate expires, in seconds since 1970.";
    [
        (name, "gauge", help, vec![("", expiry)]),
        ("tls_reloads_total", "counter", "Times that the certificate was read anew.", reloads),
    ]
    .into_iter()
}

/// How to speak: TLS 1.2 and 1.3 with the suites that the library holds to be safe, no client
/// certificates, and no other protocol than the one that a handshake of WebSocket is in.
fn config(identity: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder =
        builder.with_protocol_versions(ALL_VERSIONS).map_err(|error| error.to_string())?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(identity);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
