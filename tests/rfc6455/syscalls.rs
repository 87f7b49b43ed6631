//! The real program when the system fails its calls: `strace` answers them with an error in the
//! kernel's place, and writes down what the program does next. Where that cannot be had, these
//! tests say so and pass.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::common::{
    Binary, CONT, PATIENCE, PING, PROMPT, RawClient, TEXT, awake, close, frame, ms, r0,
};

/// The program under `strace`.
struct Traced {
    binary: Binary,
    log: PathBuf,
}

/// What a thread that accepts does, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A call that was made to fail.
    Failed,
    /// One that was not: a stream has come, or none has in time.
    Called,
    /// A rest of so many milliseconds.
    Rests(u64),
}
use Step::{Called, Failed, Rests};

impl Traced {
    /// `inject` is which calls are to fail, how, and when: the first is number 1, and each thread
    /// and each call has a count of its own.
    fn start(inject: &str, args: &[&str]) -> Option<Self> {
        if !may_trace() {
            // Past the test harness, which would keep it to itself.
            let text = "\nSKIPPED, FOR strace IS MISSING OR MAY NOT TRACE: rows F5, F6, F8, F9\n";
            let _ = std::io::stderr().write_all(text.as_bytes());
            return None;
        }
        let name: String = inject.chars().filter(char::is_ascii_alphanumeric).collect();
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.strace"));
        let path = log.to_str().expect("a path in UTF-8");
        // As a grandchild, so that the program is our own child.
        let strace = ["strace", "-D", "-f", "-qq", "-o", path, "-e", "signal=none"];
        let (calls, _) = inject.split_once(':').expect("calls and an error");
        let trace = format!("trace=nanosleep,clock_nanosleep,{calls}");
        let inject = format!("inject={inject}");
        Some(Self {
            binary: Binary::serve_under(
                &[&strace[..], &["-e", &trace, "-e", &inject]].concat(),
                args,
            ),
            log,
        })
    }

    /// Ends the program; the lines of the log, the number of the thread ahead of each.
    fn end(self) -> Vec<String> {
        self.binary.signal("TERM");
        // `strace` holds the same standard error, so that this waits for both.
        let (status, lines) = self.binary.wait();
        assert_eq!(status.code(), Some(0), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("panicked")), "{lines:?}");
        let log = fs::read_to_string(&self.log).expect("the log");
        let _ = fs::remove_file(&self.log);
        log.lines().map(str::to_owned).collect()
    }

    /// Ends the program; what each thread that accepts did.
    fn steps(self) -> Vec<Vec<Step>> {
        let mut steps: HashMap<String, Vec<Step>> = HashMap::new();
        for line in self.end() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let steps = steps.entry(thread.to_owned()).or_default();
            if call.contains("nanosleep(") {
                steps.push(Rests(millis(call)));
            } else if call.contains("(INJECTED)") {
                steps.push(Failed);
            } else if call.contains("accept4(") {
                steps.push(Called);
            }
        }
        // Others sleep for reasons of their own.
        steps.into_values().filter(|steps| steps.contains(&Failed)).collect()
    }

    /// The same; for how long each rested after a failure, which it does in pieces. One that leaves
    /// another at the door does not rest.
    fn rests(self) -> Vec<Vec<u64>> {
        let rests = |steps: Vec<Step>| {
            let (mut rests, mut before) = (Vec::new(), Called);
            for step in steps {
                match (step, before) {
                    (Rests(rest), Failed) => rests.push(rest),
                    (Rests(piece), Rests(_)) => *rests.last_mut().expect("a first piece") += piece,
                    // What found nobody at the door waits a little before the next call.
                    (Rests(_), Called) => continue,
                    (Failed | Called, _) => {}
                }
                before = step;
            }
            rests
        };
        self.steps().into_iter().map(rests).collect()
    }
}

fn may_trace() -> bool {
    let mut strace = Command::new("strace");
    let status = strace.args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The time in a call to `clock_nanosleep`.
fn millis(call: &str) -> u64 {
    let number = |key: &str| -> u64 {
        let (_, rest) = call.split_once(key).expect(key);
        rest.split([',', '}']).next().expect("a number").parse().expect("a number")
    };
    number("tv_sec=") * 1000 + number("tv_nsec=") / 1_000_000
}

/// The rests after failures in a row.
const RESTS: [u64; 10] = [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000];

#[test]
fn f9_an_aborted_connection_is_followed_by_the_next_at_once() {
    // One after another, and one between any two that are good.
    for (when, count) in [("1..50", 50), ("1..9+2", 5)] {
        let inject = format!("accept4:error=ECONNABORTED:when={when}");
        let Some(traced) = Traced::start(&inject, &[]) else { return };
        for _ in 0..20 {
            let start = Instant::now();
            traced.binary.echoes();
            assert!(awake(start) < PROMPT, "{:?}", start.elapsed());
        }
        // No rest behind any; of two threads the last may not have come to the end of it.
        let steps = traced.steps();
        let rests = |steps: &[Step]| steps.windows(2).any(|two| matches!(two, [Failed, Rests(_)]));
        assert!(!steps.iter().any(|steps| rests(steps)), "{steps:?}");
        let failed = |steps: &Vec<Step>| steps.iter().filter(|step| **step == Failed).count();
        assert_eq!(steps.iter().map(failed).max(), Some(count), "{steps:?}");
    }
}

#[test]
fn f8_without_descriptors_or_memory_accepting_rests_longer_and_longer() {
    for (error, count) in [("EMFILE", 10), ("ENFILE", 5), ("ENOBUFS", 5), ("ENOMEM", 5)] {
        let inject = format!("accept4:error={error}:when=1..{count}");
        let Some(traced) = Traced::start(&inject, &[]) else { return };
        let start = Instant::now();
        traced.binary.echoes();
        let sum = RESTS[..count].iter().sum();
        assert!(start.elapsed() < ms(sum) + PATIENCE, "{:?}", start.elapsed());
        let rests = traced.rests();
        assert!(rests.iter().all(|rests| RESTS[..count].starts_with(rests)), "{error} {rests:?}");
        assert!(rests.iter().any(|rests| rests.len() == count), "{error} {rests:?}");
    }
}

/// One that is accepted ends the bad times: the next rest is as short as the first.
#[test]
fn f8_after_a_good_accept_the_rest_is_short_again() {
    let Some(traced) = Traced::start("accept4:error=EMFILE:when=1..9+2", &[]) else { return };
    for _ in 0..20 {
        traced.binary.echoes();
    }
    let rests = traced.rests().concat();
    assert!(!rests.is_empty() && rests.iter().all(|rest| *rest == 5), "{rests:?}");
}

/// A conversation with every kind of frame, and all that comes of it.
fn conversation(binary: &Binary) -> Vec<u8> {
    let mut client = RawClient::connect(binary.addr);
    let frames = [
        frame(TEXT, "first"),
        frame(0x02, vec![7; 5_000]),
        frame(PING, "between"),
        frame(CONT, vec![7; 50_000]),
        close(1000, "bye"),
    ];
    // It may be cut at any time.
    let _ = client.try_send([r0().bytes(), frames.concat()].concat());
    client.read_rest()
}

/// Has every read or write of a connection fail, from the first on, from the second on, and so
/// forth. There is one place, and memory for one message: who keeps either is found out by the
/// next, and so is a thread or a descriptor that stays.
fn broken_from_every_call_on(error: &str) {
    let mut outputs = Vec::new();
    loop {
        let nth = outputs.len() / 3 + 1;
        let inject = format!("recvfrom,sendto,writev:error={error}:when={nth}+");
        let limits = ["--max-connections", "1", "--max-assembling", "64K"];
        let Some(traced) = Traced::start(&inject, &limits) else { return };
        let mut descriptors = Vec::new();
        for _ in 0..3 {
            outputs.push(conversation(&traced.binary));
            descriptors.push(traced.binary.settle());
        }
        assert_eq!(descriptors, [descriptors[0]; 3], "from call {nth} on");
        if !traced.end().iter().any(|line| line.contains("(INJECTED)")) {
            break;
        }
        assert!(nth < 100, "there is no end to the calls of this conversation");
    }
    // The last ones met no error.
    let clean = outputs.last().expect("some").clone();
    assert!(clean.ends_with(b"\x03\xe8bye") && clean.len() > 55_000, "{} bytes", clean.len());
    assert!(outputs.len() > 3 * 3, "{} runs", outputs.len() / 3);
    for (at, output) in outputs.iter().enumerate() {
        // Neither a 503 nor a Close 1013 is part of it.
        let start = output[..output.len().min(200)].escape_ascii();
        assert!(clean.starts_with(output), "from call {} on: {start}", at / 3 + 1);
    }
}

#[test]
fn f5_reset_from_every_call_on_in_the_program() {
    broken_from_every_call_on("ECONNRESET");
}

#[test]
fn f6_broken_pipe_from_every_call_on_in_the_program() {
    broken_from_every_call_on("EPIPE");
}
