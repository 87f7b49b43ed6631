//! A running server.

use std::fs::File;
use std::io::{Read, Seek};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs, io, process};

use barews::rustls::ClientConfig;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::args::Options;
use crate::contestants::{Contestant, Role, Runtime};
use crate::machine::{self, Cores};
use crate::outcome::Outcome;
use crate::tls::Identity;
use crate::work::Row;

/// A running server, which ends with this value.
pub(crate) struct Server {
    pub(crate) contestant: Contestant,
    pub(crate) addr: SocketAddr,
    /// What a client of it wants, if it speaks TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    child: Child,
    cpu: ClockId,
}

impl Server {
    /// Starts it as the row wants it, with this identity if that is over TLS.
    pub(crate) fn start(
        contestant: &Contestant,
        row: &Row,
        options: &Options,
        cores: &Cores,
        identity: &Identity,
    ) -> Outcome<Self> {
        let addr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = command(contestant, row, options);
        // The others write no line a connection either.
        command.env("BAREWS_LOG", "off").arg(match contestant.role {
            Role::Foreign(Runtime::Native) => addr.port().to_string(),
            _ => addr.to_string(),
        });
        let tls = (row.tls && contestant.has_tls()).then(|| {
            command.arg("--tls-cert").arg(&identity.certificate);
            command.arg("--tls-key").arg(&identity.key);
            identity.client()
        });
        let mut log = nameless_file()?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.try_clone()?);
        let pin = cores.pin_server();
        // SAFETY: between fork and exec these are two plain system calls, without allocation or
        // locks; the second has the kernel end the server if this program is killed.
        unsafe {
            command.pre_exec(move || {
                pin()?;
                Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
            });
        }
        let program = command.get_program().display().to_string();
        let child = command.spawn().map_err(|e| format!("cannot start {program}: {e}"))?;
        let cpu = clock_getcpuclockid(Pid::from_raw(child.id() as i32))?;
        let mut server = Self { contestant: *contestant, addr, tls, child, cpu };
        if let Err(error) = server.wait_until_it_listens() {
            let mut told = String::new();
            log.rewind()?;
            log.read_to_string(&mut told)?;
            return Err(format!("{error}: {}", told.trim()).into());
        }
        Ok(server)
    }

    fn wait_until_it_listens(&mut self) -> Outcome<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !machine::is_listening(self.addr.port())? {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("it ended with {status}").into());
            }
            if Instant::now() > deadline {
                return Err("it does not listen".into());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// CPU time of the process so far, of the threads that have ended too.
    pub(crate) fn cpu_time(&self) -> io::Result<Duration> {
        Ok(clock_gettime(self.cpu)?.into())
    }

    /// Times that its threads have waited so far.
    pub(crate) fn switches(&self) -> Outcome<u64> {
        machine::switches(self.child.id())
    }

    pub(crate) fn resident_kib(&self) -> Outcome<u64> {
        machine::status_kib(self.child.id(), "VmRSS")
    }

    /// The most that it has had resident.
    pub(crate) fn peak_kib(&self) -> Outcome<u64> {
        machine::status_kib(self.child.id(), "VmHWM")
    }
}

/// All but the address and what it needs for TLS.
fn command(contestant: &Contestant, row: &Row, options: &Options) -> Command {
    let name = contestant.name;
    let foreign = |file: &str| format!("{}/{file}", options.foreign);
    let (program, arg) = match contestant.role {
        Role::Ours | Role::OurLoop if row.work.offers_deflate() => {
            (options.barews.clone(), Some("--deflate".to_owned()))
        }
        Role::OurLoop if !row.tls => (options.peers.clone(), Some(name.to_owned())),
        Role::Ours | Role::OurLoop | Role::WithoutTls | Role::Plain => {
            (options.barews.clone(), None)
        }
        Role::Foreign(Runtime::Node) => ("node".to_owned(), Some(foreign(&format!("{name}.mjs")))),
        Role::Foreign(Runtime::Bun) => {
            (foreign("bun/node_modules/.bin/bun"), Some(foreign(&format!("{name}.mjs"))))
        }
        Role::Foreign(Runtime::Python) => {
            (foreign("venv/bin/python"), Some(foreign(&format!("{name}.py"))))
        }
        Role::Foreign(Runtime::Native) => {
            let program = options.uwebsockets.clone();
            (program.unwrap_or_else(|| foreign("uwebsockets/target/uwebsockets")), None)
        }
        _ => (options.peers.clone(), Some(name.to_owned())),
    };
    let mut command = Command::new(program);
    command.args(arg);
    if contestant.role == Role::OurLoop {
        command.env("BAREWS_ENGINE", "event-loop");
    }
    command
}

/// A file that is gone when nobody has it open any more.
fn nameless_file() -> io::Result<File> {
    let path = env::temp_dir().join(format!("barews-compare-{}.log", process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
