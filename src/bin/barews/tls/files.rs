//! A certificate and its key from their files, in PEM (RFC 7468). Whatever is wrong is told with
//! what would be right.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use barews::rustls::crypto::ring::sign::any_supported_type;
use barews::rustls::pki_types::pem::PemObject;
use barews::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use barews::rustls::sign::{CertifiedKey, SigningKey};

use super::certificate::Description;
use super::der;

/// The longest file, in bytes; a chain has a few thousand.
const MAX_LEN: u64 = 1 << 20;

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    pub key: Arc<CertifiedKey>,
    pub description: Description,
    /// What clients, or the owner of the key, may have against it.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// One of our own making.
    pub fn made(key: Arc<CertifiedKey>) -> Result<Self, String> {
        let description = Description::new(&key.cert[0], &parse(&key.cert)?[0]);
        Ok(Self { key, description, warnings: Vec::new() })
    }
}

/// Reads both files; they may be one. An error is a line.
pub fn load(cert: &Path, key: &Path) -> Result<Loaded, String> {
    let about_cert = |wrong: String| format!("--tls-cert {}: {wrong}", cert.display());
    let about_key = |wrong: String| format!("--tls-key {}: {wrong}", key.display());
    let (chain_text, _) = read(cert).map_err(about_cert)?;
    let chain = chain(&chain_text).map_err(about_cert)?;
    let (key_text, readers) = read(key).map_err(about_key)?;
    let signing_key = private_key(&key_text).map_err(about_key)?;
    let parsed = parse(&chain).map_err(about_cert)?;
    let mut warnings = warnings(&parsed);
    let description = Description::new(&chain[0], &parsed[0]);
    warnings.extend(description.warning(SystemTime::now()));
    let mut warnings: Vec<_> = warnings.into_iter().map(about_cert).collect();
    warnings.extend(readers.map(about_key));
    let place = owner(&chain, &signing_key);
    if place != Some(0) {
        return Err(about_key(mismatch(cert, place)));
    }
    let key = Arc::new(CertifiedKey::new(chain, signing_key));
    Ok(Loaded { key, description, warnings })
}

/// The text of a file, and what is to be said of those who may read it.
fn read(path: &Path) -> Result<(Vec<u8>, Option<String>), String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(cannot)?;
    let readers = readers(&file);
    let mut text = Vec::new();
    file.take(MAX_LEN + 1).read_to_end(&mut text).map_err(cannot)?;
    match text.len() as u64 {
        0 => Err("is empty".to_owned()),
        len if len > MAX_LEN => {
            Err(format!("has more than {MAX_LEN} bytes: is it the right file?"))
        }
        _ => Ok((text, readers)),
    }
}

/// A group may well be how the key comes to a program that is not root, but nobody means everyone.
fn readers(file: &File) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let mode = file.metadata().ok()?.permissions().mode();
        // What is no file, such as a pipe of the shell, is gone soon.
        let is_file = file.metadata().ok()?.is_file();
        (is_file && mode & 0o006 != 0)
            .then(|| format!("is open to every user (mode {:03o}): chmod o= FILE", mode & 0o777))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}

/// The certificates of a file.
fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| format!("is damaged: {error}"))?;
    match chain.is_empty() {
        true => Err(no_certificate(text)),
        false => Ok(chain),
    }
}

/// What stands in the place of a certificate.
fn no_certificate(text: &[u8]) -> String {
    let has = |label| contains(text, label);
    if has("PRIVATE KEY-----") {
        return "has a private key in it and no certificate: are the two files swapped?".to_owned();
    }
    if has("CERTIFICATE REQUEST-----") {
        return "is a request for a certificate, not what the authority has made of it".to_owned();
    }
    match text[0] {
        0x30 => "is not PEM but DER, which openssl turns into it: \
                 openssl x509 -inform der -in FILE, or openssl pkcs12 -nodes -in FILE"
            .to_owned(),
        _ => "has no certificate in it (-----BEGIN CERTIFICATE-----)".to_owned(),
    }
}

/// The key of a file.
fn private_key(text: &[u8]) -> Result<Arc<dyn SigningKey>, String> {
    let has = |label| contains(text, label);
    // RFC 1421 has a header for it, in the form that OpenSSL had before PKCS #8.
    if has("BEGIN ENCRYPTED PRIVATE KEY-----") || has("Proc-Type: 4,ENCRYPTED") {
        return Err("is encrypted, and there is nobody to ask for the passphrase: \
                    openssl pkey -in FILE -out DECRYPTED"
            .to_owned());
    }
    let key = PrivateKeyDer::pem_slice_iter(text).next();
    let key = key.ok_or_else(|| no_key(text))?.map_err(|error| format!("is damaged: {error}"))?;
    any_supported_type(&key).map_err(|_| {
        "is of no kind that there is here: RSA of 2048 to 8192 bits, ECDSA on P-256 or P-384, or Ed25519"
            .to_owned()
    })
}

/// What stands in the place of a key.
fn no_key(text: &[u8]) -> String {
    let has = |label| contains(text, label);
    if has("BEGIN OPENSSH PRIVATE KEY-----") {
        return "is a key for SSH: openssl genpkey -algorithm ed25519 makes one for TLS".to_owned();
    }
    if has("BEGIN CERTIFICATE-----") {
        return "has a certificate in it and no private key: are the two files swapped?".to_owned();
    }
    match text[0] {
        0x30 => "is not PEM but DER: openssl pkey -inform der -in FILE".to_owned(),
        _ => "has no private key in it (-----BEGIN PRIVATE KEY-----)".to_owned(),
    }
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}

/// What each certificate says.
fn parse<'a>(chain: &'a [CertificateDer<'_>]) -> Result<Vec<der::Certificate<'a>>, String> {
    let parsed = chain.iter().enumerate().map(|(i, certificate)| {
        let wrong = || format!("its certificate {} is none (X.509)", i + 1);
        der::certificate(certificate).ok_or_else(wrong)
    });
    parsed.collect()
}

/// What clients may have against a chain.
fn warnings(chain: &[der::Certificate<'_>]) -> Vec<String> {
    let mut warnings = Vec::new();
    if chain[0].names.is_empty() {
        warnings.push("has no subjectAltName: clients of this century refuse it".to_owned());
    }
    for (i, pair) in chain.windows(2).enumerate() {
        if pair[0].issuer != pair[1].subject {
            let (this, next) = (i + 1, i + 2);
            warnings.push(format!(
                "its certificate {next} is not the issuer of its certificate {this}, which is what \
                 should follow: some clients will not trust it"
            ));
        }
    }
    warnings
}

/// Which certificate of the chain a key belongs to.
fn owner(chain: &[CertificateDer<'static>], key: &Arc<dyn SigningKey>) -> Option<usize> {
    let belongs = |certificate: &CertificateDer<'static>| {
        CertifiedKey::new(vec![certificate.clone()], Arc::clone(key)).keys_match().is_ok()
    };
    chain.iter().position(belongs)
}

/// What is wrong with a key that belongs to none of the certificates, or not to the first.
fn mismatch(cert: &Path, place: Option<usize>) -> String {
    let cert = cert.display();
    match place {
        None => format!("belongs to no certificate in {cert}: take the one that was made with it"),
        Some(i) => format!(
            "belongs to certificate {} in {cert}: that one has to come first there, and its issuers \
             after it",
            i + 1
        ),
    }
}
