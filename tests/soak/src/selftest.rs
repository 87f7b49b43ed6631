//! A harness that never finds anything is worth nothing: here it meets servers with faults, and
//! each must break just the bound that it should. The same runs must pass without the fault.

use std::time::Duration;

use crate::plan::Plan;
use crate::report::NoReport;
use crate::run::{self, Run};
use crate::server::Program;

/// What the numbers of connections are divided by.
const DIVISOR: usize = 20;

struct Case {
    run: &'static str,
    seconds: u64,
    fault: &'static str,
    /// The start of the names of figures whose bounds must break; none for a run that passes.
    breaks: &'static [&'static str],
}

const CASES: &[Case] = &[
    case("steady", 4, "none", &[]),
    case("steady", 4, "drop-echo", &["clients: failed"]),
    case("steady", 4, "lose-last", &["clients: echoes missing"]),
    case("steady", 4, "alter-echo", &["clients: failed"]),
    case("steady", 4, "leak-memory", &["memory drift"]),
    case("steady", 4, "panic", &["end of the server, or panic"]),
    case("steady", 4, "exit", &["end of the server, or panic"]),
    case("idle", 4, "none", &[]),
    case("idle", 4, "hang-up", &["connections lost"]),
    case("idle", 4, "bulky", &["memory a connection"]),
    case("idle", 4, "no-ping", &["pings answered"]),
    case("churn", 4, "none", &[]),
    case("churn", 4, "leak-thread", &["threads at the end"]),
    case("churn", 4, "leak-descriptor", &["descriptors at the end"]),
    case("churn", 4, "leak-memory", &["memory drift"]),
    case("large", 4, "none", &[]),
    case("large", 4, "hoard", &["late peak above early"]),
    case("attack", 7, "none", &[]),
    case("attack", 7, "slow-echo", &["their echo p99"]),
    case(
        "attack",
        36,
        "patient",
        &["slowloris, a byte", "deaf sender", "ping flood", "slow empty"],
    ),
    case("cap", 4, "none", &[]),
    case("cap", 4, "no-cap", &["refused with 503"]),
    case("cap", 4, "slow-echo", &["their echo p99"]),
    case("burst", 4, "none", &[]),
    case("burst", 4, "leak-slot", &["threads after the storm", "places left"]),
    case("deflate", 8, "none", &[]),
    case("deflate", 4, "slow-echo", &["plain clients: echo p99", "compressing clients: echo p99"]),
    case("deflate", 4, "lose-last", &["plain clients: echoes", "compressing clients: echoes"]),
    case("deflate", 8, "hoard", &["memory when all have gone"]),
    case("deflate", 14, "patient", &["unfinished, silent", "unfinished, 4 MiB"]),
    case("tls", 7, "none", &[]),
    case("tls", 4, "slow-echo", &["healthy clients: echo p99"]),
    case("tls", 4, "leak-descriptor", &["descriptors at the end"]),
    case(
        "tls",
        24,
        "patient",
        &["slowloris, silent", "slowloris, a byte of the request", "slow fragments", "ping flood"],
    ),
];

const fn case(
    run: &'static str,
    seconds: u64,
    fault: &'static str,
    breaks: &'static [&'static str],
) -> Case {
    Case { run, seconds, fault, breaks }
}

/// Whether the harness finds what it should, and nothing where there is nothing.
pub(crate) fn run() -> bool {
    let path = std::env::current_exe().expect("a path").with_file_name("faulty");
    let mut failed = 0;
    for case in CASES {
        let run = run::ALL.iter().find(|run| run.name == case.run).expect("a run");
        let program = Program::new(&path, Some(case.fault)).expect("the faulty server runs");
        let (verdict, found) = hold(case, run, &program);
        failed += u32::from(!verdict);
        let verdict = if verdict { "pass" } else { "FAIL" };
        println!("self-test: {verdict}: {} with {}: {found}", case.run, case.fault);
    }
    println!("self-test: {} passed, {failed} failed", CASES.len() - failed as usize);
    failed == 0
}

/// Whether the run comes out as the case says, and how it does.
fn hold(case: &Case, run: &Run, program: &Program) -> (bool, String) {
    let length = Duration::from_secs(case.seconds);
    let report = match (run.hold)(&Plan { program, length, divisor: DIVISOR }) {
        Ok(report) => report,
        Err(NoReport::Impossible(why) | NoReport::NoServer(why)) => return (false, why),
    };
    let broken: Vec<&str> = report.broken().collect();
    let found = |start: &&str| broken.iter().any(|what| what.starts_with(*start));
    let right = match case.breaks {
        [] => report.passed(),
        breaks => breaks.iter().all(found),
    };
    (right, if broken.is_empty() { "all bounds hold".to_owned() } else { broken.join("; ") })
}
