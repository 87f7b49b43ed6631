//! What a build without the feature `tls` has of it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use barews::{Listener, Server};

use crate::log::Log;
use crate::os::address::Address;
use crate::os::connect::Stream;

/// There are none.
#[derive(Debug, Default)]
pub struct TlsOptions {}

/// There is none.
pub struct Tls;

/// For the health check: nothing here can ask so.
pub fn unverified(_: Box<dyn Stream>, _: &str) -> Result<Box<dyn Stream>, String> {
    Err("https:// is not in this build, but in: cargo build --release --features tls".to_owned())
}

impl TlsOptions {
    pub fn is_on(&self) -> bool {
        false
    }

    pub fn is_reloadable(&self) -> bool {
        false
    }
}

impl Tls {
    pub fn open(_: TlsOptions, _: &[Address], _: &[Listener]) -> Result<Self, String> {
        Ok(Self)
    }

    pub fn is_on(&self) -> bool {
        false
    }

    pub fn apply(&self, server: Server) -> Server {
        server
    }

    pub fn certificate_pem(&self) -> Option<Arc<str>> {
        None
    }

    pub fn announce(&self, _: &Log) {}

    pub fn reload_on(&self, _: Receiver<()>, _: &Log) -> io::Result<()> {
        Ok(())
    }
}
