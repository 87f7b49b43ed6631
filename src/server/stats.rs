//! What a server has done, for those who watch it.

use std::sync::{Arc, OnceLock};

use crate::session::codecs::{Codecs, DeflateStats};

/// Tells what a server has done so far: from [`Server::stats_handle`](crate::Server::stats_handle).
#[derive(Debug, Clone, Default)]
pub struct StatsHandle {
    /// Set when the server begins to run, if it compresses.
    codecs: Arc<OnceLock<Arc<Codecs>>>,
}

impl StatsHandle {
    /// What compression has done; all zero if there is none.
    #[must_use]
    pub fn deflate(&self) -> DeflateStats {
        self.codecs.get().map(|codecs| codecs.stats()).unwrap_or_default()
    }

    pub(crate) fn set(&self, codecs: Option<&Arc<Codecs>>) {
        if let Some(codecs) = codecs {
            // A server runs once.
            let _ = self.codecs.set(Arc::clone(codecs));
        }
    }
}
