//! A certificate for tests, made at the start and signed by itself. Its key is in no file.

use std::io::{self, Write};
use std::net::IpAddr;

use barews::{Listener, SelfSigned};

use super::files::Loaded;
use crate::os::address::Address;

/// Whom it is for, whatever the addresses.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate for these names, or else for what the server may be called that listens there or was
/// passed these listeners; and the same in PEM.
pub fn make(
    names: Vec<String>,
    listen: &[Address],
    passed: &[Listener],
) -> Result<(Loaded, String), String> {
    let names = match names.is_empty() {
        true => default_names(listen, passed),
        false => names,
    };
    let made = SelfSigned::new(names).map_err(|error| format!("--tls-self-signed: {error}"))?;
    let pem = made.certificate_pem();
    Ok((Loaded::made(made.certified_key())?, pem))
}

/// Prints the certificate.
pub fn print(pem: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(pem.as_bytes())?;
    out.flush()
}

fn default_names(listen: &[Address], passed: &[Listener]) -> Vec<String> {
    let hosts = listen.iter().filter_map(|addr| match addr {
        Address::Tcp(addr) => addr.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']'])),
        _ => None,
    });
    let addrs = passed.iter().filter_map(|listener| match listener {
        Listener::Tcp(listener) => listener.local_addr().ok().map(|addr| addr.ip()),
        _ => None,
    });
    let mut names: Vec<_> = NAMES.map(str::to_owned).into();
    let hosts = hosts.map(str::to_ascii_lowercase).chain(addrs.map(|ip| ip.to_string()));
    for host in hosts {
        // Nobody connects to "any address".
        let is_any = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        if !is_any && !names.contains(&host) {
            names.push(host);
        }
    }
    names
}
