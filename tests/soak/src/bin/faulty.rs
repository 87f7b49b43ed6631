//! A server with a fault that the environment names: `FAULT=drop-echo faulty 127.0.0.1:0`. The
//! harness must notice; see `selftest.rs`.

use std::fs::File;
use std::process::exit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use barews::rustls::ServerConfig;
use barews::rustls::crypto::ring;
use barews::rustls::pki_types::pem::PemObject;
use barews::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use barews::{BoxError, Config, Connection, Deflate, Message, Server, Timeouts};

/// What leaks is kept here, in use as far as anybody can tell.
static LEAKED: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
static OPENED: Mutex<Vec<File>> = Mutex::new(Vec::new());
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
static MESSAGES: AtomicU64 = AtomicU64::new(0);

const OPTIONS: &str = "--max-connections --max-connections-per-ip --max-assembling --deflate \
    --deflate-memory --handshake-timeout --message-timeout --ping-after --idle-timeout \
    --write-timeout --close-timeout --tls-cert --tls-key";

fn main() -> std::io::Result<()> {
    let fault = std::env::var("FAULT").unwrap_or_default();
    let mut config = Config { stack_size: Some(128 << 10), ..Config::default() };
    let mut addr = "127.0.0.1:0".to_owned();
    let (mut certificate, mut key) = (None, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--help" {
            println!("{OPTIONS}");
            return Ok(());
        }
        if !arg.starts_with("--") {
            addr = arg;
            continue;
        }
        if arg == "--deflate" {
            config.compression = Some(Deflate::default());
            continue;
        }
        let value = args.next().unwrap_or_default();
        match arg.as_str() {
            "--tls-cert" => {
                certificate = Some(value);
                continue;
            }
            "--tls-key" => {
                key = Some(value);
                continue;
            }
            _ => {}
        }
        let number: u64 = value.trim_end_matches("ms").parse().expect("a number");
        let timeouts = &mut config.timeouts;
        let timeout = match arg.as_str() {
            "--max-connections" => {
                config.limits.max_connections = number as usize;
                continue;
            }
            "--max-connections-per-ip" => {
                config.limits.max_connections_per_ip = number as usize;
                continue;
            }
            "--max-assembling" => {
                config.limits.max_buffered_bytes = number;
                continue;
            }
            "--deflate-memory" => {
                config.compression.as_mut().expect("--deflate comes first").max_memory = number;
                continue;
            }
            "--handshake-timeout" => &mut timeouts.handshake,
            "--message-timeout" => &mut timeouts.message,
            "--ping-after" => &mut timeouts.ping_interval,
            "--idle-timeout" => &mut timeouts.idle_timeout,
            "--write-timeout" => &mut timeouts.write,
            "--close-timeout" => &mut timeouts.close,
            _ => panic!("no option {arg}"),
        };
        *timeout = Duration::from_millis(number);
    }
    match fault.as_str() {
        "patient" => {
            let ever = Duration::MAX;
            config.timeouts =
                Timeouts { handshake: ever, message: ever, write: ever, ..config.timeouts };
        }
        "no-ping" => config.timeouts.ping_interval = Duration::MAX,
        "no-cap" => config.limits.max_connections = usize::MAX,
        _ => {}
    }
    let mut server = Server::bind(addr)?.config(config);
    if let (Some(certificate), Some(key)) = (certificate, key) {
        server = server.tls(tls(&certificate, &key));
    }
    eprintln!("faulty: listening on {}", server.local_addr().unwrap());
    server.run(move |conn| serve(conn, &fault))
}

fn tls(certificate: &str, key: &str) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(certificate).expect("a file");
    let chain = chain.collect::<Result<_, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("the provider has them");
    let config = builder.with_no_client_auth().with_single_cert(chain, key);
    Arc::new(config.expect("a key for the certificate"))
}

fn serve(mut conn: Connection, fault: &str) -> Result<(), BoxError> {
    // What leaks for every connection would soon be out, and that is not the fault meant.
    let leaks = CONNECTIONS.fetch_add(1, Ordering::Relaxed).is_multiple_of(500);
    match fault {
        "hang-up" => {
            thread::sleep(Duration::from_secs(1));
            return Ok(());
        }
        "bulky" => LEAKED.lock().expect("a lock").push(vec![1; 16 << 10]),
        "leak-thread" if leaks => {
            thread::Builder::new().stack_size(64 << 10).spawn(|| {
                loop {
                    thread::park();
                }
            })?;
        }
        "leak-descriptor" if leaks => OPENED.lock().expect("a lock").push(File::open("/dev/null")?),
        _ => {}
    }
    if conn.request().path().starts_with("/flood") {
        loop {
            conn.send(Message::Binary(&[7; 64 << 10]))?;
        }
    }
    let mut buf = Vec::new();
    loop {
        match conn.recv(&mut buf) {
            Ok(None) => return Ok(()),
            Ok(Some(message)) => echo(&mut conn, message, fault)?,
            Err(_) if fault == "leak-slot" => loop {
                thread::park();
            },
            Err(error) => return Err(error.into()),
        }
    }
}

fn echo(conn: &mut Connection, message: Message<'_>, fault: &str) -> Result<(), BoxError> {
    let nth = MESSAGES.fetch_add(1, Ordering::Relaxed) + 1;
    match fault {
        "drop-echo" if nth == 1000 => return Ok(()),
        // Nothing behind it is echoed either, so nothing comes that would be out of order.
        "lose-last" if nth >= 1000 => return Ok(()),
        "alter-echo" if nth == 1000 => {
            let mut bytes = message.as_bytes().to_vec();
            bytes[50] ^= 1;
            conn.send(Message::Binary(&bytes))?;
            return Ok(());
        }
        "leak-memory" => LEAKED.lock().expect("a lock").push(vec![1; 1 << 10]),
        "hoard" => LEAKED.lock().expect("a lock").push(vec![1; message.len() * 4]),
        "slow-echo" => thread::sleep(Duration::from_millis(110)),
        "panic" if nth == 1000 => panic!("as was asked for"),
        "exit" if nth == 1000 => exit(3),
        _ => {}
    }
    conn.write(message)?;
    Ok(())
}
