//! The certificate of a server that speaks TLS, and clients that trust it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, process};

use barews::SelfSigned;
use barews::rustls::client::Resumption;
use barews::rustls::crypto::ring;
use barews::rustls::{ClientConfig, RootCertStore};

/// A certificate and its key, in files that go with this value.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client: Arc<ClientConfig>,
}

impl Identity {
    /// # Errors
    ///
    /// Those of the system: there is no randomness, or no room for files.
    pub(crate) fn new() -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path =
            |what| env::temp_dir().join(format!("barews-soak-{}-{number}-{what}", process::id()));
        let signed = SelfSigned::new(["127.0.0.1"])?;
        let mut roots = RootCertStore::empty();
        roots.add(signed.certificate_der().clone()).map_err(io::Error::other)?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let mut client = builder.with_root_certificates(roots).with_no_client_auth();
        // Whoever comes again has the server do all of it again.
        client.resumption = Resumption::disabled();
        let identity =
            Self { certificate: path("cert.pem"), key: path("key.pem"), client: Arc::new(client) };
        for (path, text) in
            [(&identity.certificate, signed.certificate_pem()), (&identity.key, signed.key_pem())]
        {
            let mut options = File::options();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
        }
        Ok(identity)
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        // They are in the folder for what may go.
        let _ = fs::remove_file(&self.certificate);
        let _ = fs::remove_file(&self.key);
    }
}
