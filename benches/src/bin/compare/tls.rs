//! What the servers have for TLS, and what clients of theirs want: the same of all of them.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::{env, process};

use barews::SelfSigned;
use barews::rustls::client::Resumption;
use barews::rustls::crypto::{CryptoProvider, ring};
use barews::rustls::version::TLS13;
use barews::rustls::{ClientConfig, RootCertStore};

use crate::outcome::Outcome;

/// A certificate and its key, in files that go with this value.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    client: Arc<ClientConfig>,
}

impl Identity {
    pub(crate) fn new() -> Outcome<Self> {
        let signed = SelfSigned::new(["127.0.0.1"])?;
        let mut roots = RootCertStore::empty();
        roots.add(signed.certificate_der().clone())?;
        let path = |what| env::temp_dir().join(format!("barews-compare-{}-{what}", process::id()));
        let identity = Self {
            certificate: path("cert.pem"),
            key: path("key.pem"),
            client: Arc::new(client(roots)?),
        };
        write(&identity.certificate, &signed.certificate_pem())?;
        write(&identity.key, &signed.key_pem())?;
        Ok(identity)
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }
}

/// As Chromium has it: TLS 1.3 and AES with 128 bits, which is what it prefers where the CPU has
/// instructions for it. Whoever comes again starts from the beginning.
fn client(roots: RootCertStore) -> Outcome<ClientConfig> {
    let suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let provider = CryptoProvider { cipher_suites: suites, ..ring::default_provider() };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&[&TLS13])?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Nobody else needs to read a key.
fn write(path: &PathBuf, text: &str) -> Outcome<()> {
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

impl Drop for Identity {
    fn drop(&mut self) {
        // They are in the folder for what may go.
        let _ = fs::remove_file(&self.certificate);
        let _ = fs::remove_file(&self.key);
    }
}
