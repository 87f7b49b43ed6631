//! `wss://`: an echo over TLS. With a certificate and its key, both in PEM, or with one that it makes for
//! itself, which is good for this machine only and goes to standard output.
//!
//! ```sh
//! cargo run --features tls --example tls -- 127.0.0.1:9001 fullchain.pem privkey.pem
//! cargo run --features tls --example tls > cert.pem
//! SSL_CERT_FILE=cert.pem python3 -m websockets wss://localhost:9001/
//! ```

use std::env;
use std::error::Error;
use std::sync::Arc;

use barews::rustls::ServerConfig;
use barews::rustls::pki_types::pem::PemObject;
use barews::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use barews::{Connection, SelfSigned, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let addr = args.next().unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let config = match (args.next(), args.next()) {
        (Some(chain), Some(key)) => load(&chain, &key)?,
        _ => {
            let own = SelfSigned::new(["localhost", "127.0.0.1"])?;
            print!("{}", own.certificate_pem());
            own.config()
        }
    };
    let server = Server::bind(addr)?.tls(config).on_error(|context, error| {
        eprintln!("{:?}: {error}", context.peer_addr());
    });
    eprintln!("listening on wss://{}", server.local_addr().expect("bound to an address"));
    server.run(|mut conn: Connection| {
        let mut buf = Vec::new();
        while let Some(message) = conn.recv(&mut buf)? {
            conn.send(message)?;
        }
        Ok(())
    })?;
    Ok(())
}

/// A certificate with those it was signed by, and its key.
fn load(chain: &str, key: &str) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
