//! Reading the certificate again, on SIGHUP. What is wrong with the new one is told, and the old one
//! stays.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::{io, thread};

use super::files;
use super::identity::Identity;
use crate::log::{Log, json};

/// Reads the files for each request, one after the other.
pub fn start(
    cert: PathBuf,
    key: PathBuf,
    identity: Arc<Identity>,
    requests: Receiver<()>,
    log: Log,
) -> io::Result<()> {
    let reload = move || match files::load(&cert, &key) {
        Ok(loaded) => {
            identity.replace(&loaded);
            let description = &loaded.description;
            log.log_event(
                "reloaded",
                || format!("reloaded: {}", description.shown()),
                || description.fields(),
            );
            for warning in loaded.warnings {
                log.log_text("warning", warning);
            }
        }
        Err(wrong) => {
            identity.failed_reloads.fetch_add(1, Ordering::Relaxed);
            log.log_event(
                "reload_failed",
                || format!("not reloaded, the old certificate stays: {wrong}"),
                || vec![("message", json::string(&wrong))],
            );
        }
    };
    let body = move || requests.iter().for_each(|()| reload());
    thread::Builder::new().name("reload".to_owned()).spawn(body).map(drop)
}
