//! What a build without the feature `tls` has of it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use barews::{Listener, Server};

use crate::log::Log;
use crate::os::address::Address;

/// There are none.
#[derive(Debug, Default)]
pub struct TlsOptions {}

/// There is none.
pub struct Tls;

impl TlsOptions {
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
