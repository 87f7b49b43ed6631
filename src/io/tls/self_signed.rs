//! A certificate that nobody has signed but itself, for tests and development.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

/// A key of its own, and a certificate for it that nobody else has signed: for tests and
/// development. Clients that are to trust it are given [`certificate_pem`](Self::certificate_pem).
///
/// ```no_run
/// use barews::{SelfSigned, Server};
///
/// # fn main() -> std::io::Result<()> {
/// let tls = SelfSigned::new(["localhost", "127.0.0.1", "::1"])?;
/// std::fs::write("cert.pem", tls.certificate_pem())?;
/// let server = Server::bind("127.0.0.1:9001")?.tls(tls.config());
/// # server.run(|_| Ok(()))
/// # }
/// ```
pub struct SelfSigned {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// How long a certificate is valid. No more than a client accepts of one (398 days).
const VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long before now it begins to be, for clients whose clock is late.
const CLOCK_SKEW: Duration = Duration::from_secs(24 * 3600);

impl SelfSigned {
    /// Makes a key and a certificate for the names, DNS names or IP addresses, valid for a year.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for no name, or one that no certificate can
    /// have, and any if there is no randomness to be had.
    pub fn new<N: Into<String>>(names: impl IntoIterator<Item = N>) -> io::Result<Self> {
        let invalid = |error: rcgen::Error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.is_empty() {
            let text = "a certificate needs the name of a host";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut params = CertificateParams::new(names).map_err(invalid)?;
        let now = SystemTime::now();
        params.not_before = (now - CLOCK_SKEW).into();
        params.not_after = (now + VALIDITY).into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        // Each is its own issuer: one name for all would have a client that trusts another one speak
        // of a bad signature, where the certificate is just not known to it.
        let point = key.public_key_raw();
        let id = u64::from_be_bytes(*point.last_chunk().expect("a point of the curve"));
        let name = format!("barews self-signed {id:016x}");
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).map_err(invalid)?.der().clone();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Ok(Self { certificate, key })
    }

    /// Settings for a server that has this certificate: TLS 1.2 and 1.3, no client certificates, and
    /// `http/1.1` as the protocol (ALPN).
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = builder.with_safe_default_protocol_versions().and_then(|builder| {
            let chain = vec![self.certificate.clone()];
            builder.with_no_client_auth().with_single_cert(chain, self.key.clone_key())
        });
        let mut config = config.expect("the provider can use the key that it has made");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// Certificate and key for settings of one's own, such as those that choose among several
    /// ([`ResolvesServerCert`](rustls::server::ResolvesServerCert)).
    #[must_use]
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        let chain = vec![self.certificate.clone()];
        let key = CertifiedKey::from_der(chain, self.key.clone_key(), &ring::default_provider());
        Arc::new(key.expect("the provider can use the key that it has made"))
    }

    /// The certificate in DER, as [`rustls::RootCertStore::add`] takes it.
    #[must_use]
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate in PEM (RFC 7468), as files have it that list whom a client trusts.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// The private key in PEM (RFC 7468, PKCS #8), for another program that is to have the same
    /// certificate.
    #[must_use]
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", self.key.secret_der())
    }
}

/// RFC 7468 §2: base64 in lines of 64, between two lines with the label.
fn pem(label: &str, der: &[u8]) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    for bytes in der.chunks(48) {
        let mut line = [0; 64];
        let len = STANDARD.encode_slice(bytes, &mut line).expect("four characters for three bytes");
        pem.extend(line[..len].iter().copied().map(char::from));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

impl fmt::Debug for SelfSigned {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelfSigned").finish_non_exhaustive()
    }
}
