//! What a server of rustls needs, from files in PEM: as its examples have it, with the same provider
//! as ours.

use std::error::Error;
use std::io;
use std::sync::Arc;

use barews::rustls::ServerConfig;
use barews::rustls::crypto::ring;
use barews::rustls::pki_types::pem::PemObject;
use barews::rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) fn config(certificate: &str, key: &str) -> io::Result<Arc<ServerConfig>> {
    read(certificate, key).map_err(|error| io::Error::other(error.to_string()))
}

fn read(certificate: &str, key: &str) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
    let mut config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
