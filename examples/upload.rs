//! Files of any size, both ways, in constant memory: a message is stored while it comes in, and a file
//! is sent as one message.
//!
//! ```sh
//! cargo run --release --example upload -- 127.0.0.1:9001 /tmp/uploads
//! websocat --binary --one-message ws://127.0.0.1:9001/movie.mp4 < movie.mp4
//! websocat --binary --unidirectional-reverse 'ws://127.0.0.1:9001/movie.mp4?download' > copy.mp4
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, process};

use barews::{
    Accept, BoxError, CloseCode, Config, Connection, MessageType, Reject, Request, Server, Status,
};

/// The largest file, in bytes. How many there may be is for the disk to say.
const MAX_FILE: u64 = 4 << 30;
/// How much is in memory of each, in bytes.
const CHUNK: usize = 64 << 10;

fn main() -> io::Result<()> {
    let mut args = env::args().skip(1);
    let addr = args.next().unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let folder = PathBuf::from(args.next().unwrap_or_else(|| "uploads".to_owned()));
    fs::create_dir_all(&folder)?;
    let mut config = Config::default();
    config.limits.max_message_size = MAX_FILE;
    let (files, names) = (folder.clone(), folder);
    let server = Server::bind(addr)?
        .config(config)
        .on_upgrade(move |request| match file_of(request, &names) {
            Some(file) if !wants_file(request) || file.is_file() => Ok(Accept::new()),
            _ => Err(Reject::new(Status::NOT_FOUND, "there is no such file\n")),
        })
        .on_error(|context, error| eprintln!("{:?}: {error}", context.peer_addr()));
    eprintln!("listening on ws://{}", server.local_addr().expect("bound to an address"));
    server.run(move |mut conn| {
        let file = file_of(conn.request(), &files).ok_or("no name")?;
        match wants_file(conn.request()) {
            true => send(&mut conn, &file),
            false => store(&mut conn, &file),
        }
    })
}

/// Where the file that is asked for lies. A path that leads anywhere else is no name.
fn file_of(request: &Request, folder: &Path) -> Option<PathBuf> {
    let name = request.path().strip_prefix('/')?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_name = name.chars().all(is_plain) && !name.starts_with('.');
    (is_name && (1..=100).contains(&name.len())).then(|| folder.join(name))
}

fn wants_file(request: &Request) -> bool {
    request.query() == Some("download")
}

fn send(conn: &mut Connection, file: &Path) -> Result<(), BoxError> {
    let mut file = File::open(file)?;
    let mut message = conn.writer(MessageType::Binary);
    io::copy(&mut file, &mut message)?;
    message.finish()?;
    Ok(())
}

fn store(conn: &mut Connection, file: &Path) -> Result<(), BoxError> {
    let mut buf = vec![0; CHUNK];
    let mut part = None;
    while let Some(chunk) = conn.recv_chunk(&mut buf)? {
        if chunk.kind == MessageType::Text {
            conn.close(CloseCode::UNSUPPORTED_DATA, "files are binary")?;
            break;
        }
        let mut receiving = match part.take() {
            Some(receiving) => receiving,
            None => Part::create(file)?,
        };
        receiving.file.write_all(&buf[..chunk.len])?;
        if chunk.fin {
            let len = receiving.keep(file)?;
            conn.send(&format!("stored {len} bytes"))?;
        } else {
            part = Some(receiving);
        }
    }
    Ok(())
}

/// What has come of a file: gone when dropped, unless it was whole.
struct Part {
    file: File,
    path: PathBuf,
}

impl Part {
    fn create(file: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let unique = format!(".{}-{}.part", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = file.with_file_name(unique);
        Ok(Self { file: File::create_new(&path)?, path })
    }

    /// Gives it its name, in place of what had that before; how long it is, in bytes.
    fn keep(self, file: &Path) -> io::Result<u64> {
        fs::rename(&self.path, file)?;
        Ok(self.file.metadata()?.len())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Of no effect on one that has its name: this one is no longer there.
        let _ = fs::remove_file(&self.path);
    }
}
