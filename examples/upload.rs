//! Files of any size, both ways, in constant memory: `/NAME` stores the message that it is sent, while that
//! comes in, and `/NAME?download` sends it back.
//!
//! ```sh
//! cargo run --release --example upload -- 127.0.0.1:9001 /tmp/files
//! python3 - <<end
//! from websockets.sync.client import connect
//! with connect("ws://127.0.0.1:9001/movie.mp4") as ws, open("movie.mp4", "rb") as file:
//!     ws.send(iter(lambda: file.read(1 << 20), b""))
//!     print(ws.recv())
//! end
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{env, io, thread};

use barews::{Accept, BoxError, Config, Connection, MessageType, Reject, Request, Server, Status};

/// The largest file, in bytes. How many there may be is for the disk to say.
const MAX_FILE: u64 = 4 << 30;

fn main() -> io::Result<()> {
    let mut args = env::args().skip(1);
    let addr = args.next().unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let folder = PathBuf::from(args.next().unwrap_or_else(|| "files".to_owned()));
    fs::create_dir_all(&folder)?;
    let mut config = Config::default();
    config.limits.max_message_size = MAX_FILE;
    let server = Server::bind(addr)?
        .config(config)
        .on_upgrade(move |request| match file_of(request, &folder) {
            Some(file) if file.is_file() || !is_download(request) => Ok(Accept::new().attach(file)),
            _ => Err(Reject::new(Status::NOT_FOUND, "there is no such file\n")),
        })
        .on_error(|context, error| eprintln!("{:?}: {error}", context.peer_addr()));
    eprintln!("listening on ws://{}", server.local_addr().expect("bound to an address"));
    server.run(|mut conn| {
        let file = conn.attached::<PathBuf>().cloned().ok_or("no name")?;
        match is_download(conn.request()) {
            true => Ok(conn.writer(MessageType::Binary).copy_from(File::open(file)?).map(drop)?),
            false => store(&mut conn, &file),
        }
    })
}

/// Where it lies. What leads anywhere else is no name.
fn file_of(request: &Request, folder: &Path) -> Option<PathBuf> {
    let name = request.path().strip_prefix('/')?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_name = name.chars().all(is_plain) && !name.starts_with('.');
    (is_name && (1..=100).contains(&name.len())).then(|| folder.join(name))
}

fn is_download(request: &Request) -> bool {
    request.query() == Some("download")
}

fn store(conn: &mut Connection, file: &Path) -> Result<(), BoxError> {
    // It has its name once it is whole, and until then that of the thread, which stores one at a time.
    let part = file.with_file_name(format!(".{:?}", thread::current().id()));
    let mut message = conn.reader()?.ok_or("closed before the message")?;
    match File::create(&part).and_then(|mut file| io::copy(&mut message, &mut file)) {
        Ok(len) => {
            fs::rename(part, file)?;
            Ok(conn.send(&format!("stored {len} bytes"))?)
        }
        Err(error) => {
            let _ = fs::remove_file(part);
            Err(error.into())
        }
    }
}
