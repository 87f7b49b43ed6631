//! As whom the server speaks: the certificate and the key that new connections get, which may be
//! replaced while it runs.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use barews::rustls::server::{ClientHello, ResolvesServerCert};
use barews::rustls::sign::CertifiedKey;

use super::files::Loaded;

/// The one that holds now. Connections that have one keep it.
#[derive(Debug)]
pub struct Identity {
    key: RwLock<Arc<CertifiedKey>>,
    /// In seconds since 1970.
    not_after: AtomicI64,
    pub reloads: AtomicU64,
    pub failed_reloads: AtomicU64,
}

impl Identity {
    pub fn new(loaded: &Loaded) -> Self {
        Self {
            key: RwLock::new(Arc::clone(&loaded.key)),
            not_after: AtomicI64::new(loaded.description.not_after),
            reloads: AtomicU64::new(0),
            failed_reloads: AtomicU64::new(0),
        }
    }

    /// Takes another one from now on.
    pub fn replace(&self, loaded: &Loaded) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&loaded.key);
        self.not_after.store(loaded.description.not_after, Ordering::Relaxed);
        self.reloads.fetch_add(1, Ordering::Relaxed);
    }

    /// When the certificate expires, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.not_after.load(Ordering::Relaxed)
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // One name or another: there is but one certificate.
        Some(Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner)))
    }
}
