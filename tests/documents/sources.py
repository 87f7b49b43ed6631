"""What the figures of the documents are: counted, looked up where they are set, or measured."""

import os
import re
from collections import Counter

from machine import REPO

README, DEPLOY = "README.md", "deploy/README.md"
WORDS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
# Linux's DEFAULT_MAX_MAP_COUNT, 65,535 less 5. A thread has four: `measured` counts them.
MAX_MAP_COUNT, MAPS = 65_530, 4
UNIT = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def read(name):
    return (REPO / name).read_text()


def one(pattern, name):
    """The one group of a pattern that is in this file once, or else we would not know which."""
    found = set(re.findall(pattern, read(name)))
    assert len(found) == 1, f"{name} has {pattern} as {found}"
    return found.pop()


def size(text):
    """1G as 1 GiB, as documents write it."""
    return f"{text[:-1]} {text[-1]}iB" if text[-1] in "KMG" else f"{int(text):,} bytes"


def time(text):
    return f"{text[:-1]} {text[-1]}"


def codes():
    """Statuses and close codes that the library knows."""
    return set(re.findall(r"= ([1-5]\d\d),", read("src/http/response/status.rs"))) | set(
        re.findall(r"\b([1-4]\d{3})\b", read("src/proto/close.rs")))


def options():
    """The defaults of all options, from the help that is made from them."""
    found = dict(re.findall(r"^  (--[a-z-]+).*\[([^]\s;]+)[^]]*\]$", HELP["text"], re.M))
    assert len(found) > 15, found
    return found


HELP = {"text": ""}


def tests():
    """What the tests are: their own files are counted."""
    cases = [line.split() for line in read("tests/autobahn/expected.txt").splitlines() if line and line[0] != "#"]
    plain = [case for case in cases if int(case[0].split(".")[0]) < 12]
    last = max(int(case[0].split(".")[0]) for case in plain)
    verdicts = Counter(case[1] for case in plain)
    assert set(verdicts) == {"OK", "INFORMATIONAL"}, verdicts
    yield README, ("all {} cases of the Autobahn Testsuite's sections 1 to {} pass, {} OK and {} informational, none "
                   '"non-strict", and with compression all {} of sections 12 and 13'), (
        len(plain), last, verdicts["OK"], verdicts["INFORMATIONAL"], len(cases) - len(plain))
    yield README, "Rust {} or later", (one(r'(?m)^rust-version = "(.*)"', "Cargo.toml"),)
    crates = re.findall(r"(?m)^(?!\s*#)[a-z0-9_-]+ = .*", read("Cargo.toml").split("[dependencies]")[1].split("\n[")[0])
    yield README, "with {} small crates", (WORDS[len([crate for crate in crates if "optional" not in crate])],)
    head = next(line for line in read("docs/handshake-faults.md").splitlines() if line.startswith("| `/handshake/"))
    # A column each, beside those of the fault, its rule and what is right.
    yield README, "How {} clients take each", (WORDS[head.count("|") - 1 - 3],)
    targets = len(list((REPO / "fuzz/fuzz_targets").glob("*.rs")))
    yield "docs/testing.md", "{} fuzz targets", (WORDS[targets],)


def defaults():
    default = options()
    request_line = int(default["--max-request-line"][:-1]) << 10
    number = {name: f"{int(value):,}" for name, value in default.items() if value.isdigit()}
    of = {name: size(value) for name, value in default.items() if value[-1] in "KMG"}
    of |= {name: time(value) for name, value in default.items() if value[-1] in "smh"}
    yield README, "| request line | `max_request_line` | {:,} bytes | 414 |", (request_line,)
    yield README, "| {}; {}; {} | 431 |", (number["--max-headers"], of["--max-header-line"], of["--max-head"])
    yield README, "| `handshake` | {} in all | 408 |", (of["--handshake-timeout"],)
    yield README, "| `max_message_size` | {} | 1009 |", (of["--max-message"],)
    yield README, "| `max_fragments` | {} | 1008 |", (number["--max-fragments"],)
    for name, option, rest in (("`message`", "--message-timeout", "received | 1008 |"), ("`write`", "--write-timeout", "of it | the end |")):
        yield README, "| {} | {}, and {} s for each {} KiB {}", (name, of[option], *per(option), rest)
    yield README, "buffered of messages over {} KiB, by all connections | `max_buffered_bytes` | {} | 1013 |", (
        counted_from(), of["--max-assembling"])
    yield README, "a Ping after {}, the end after {} | 1008 |", (of["--ping-after"], of["--idle-timeout"])
    yield README, "| `close` | {} | the end |", (of["--close-timeout"],)
    yield README, "| `max_connections`, `max_connections_per_ip` | {}; {} | 503 |", (
        number["--max-connections"], number["--max-connections-per-ip"])
    yield README, "| `Deflate::max_memory` | {} | connections without takeover; 1013 |", (of["--deflate-memory"],)
    server, client = int(default["--deflate-history"][:-1]), 1 << int(default["--deflate-client-max-window-bits"]) >> 10
    most = (1 << 15) >> 10
    yield "docs/compression.md", "{} KiB of what was sent, and {} KiB of what came, or {} KiB from a client", (server, client, most)
    proxy = one(r"proxy_read_timeout (\d+)s", "deploy/nginx.conf")
    assert proxy == one(r"timeout tunnel (\d+)s", "deploy/haproxy.cfg") == one(r"proxy_read_timeout (\d+)s", README)
    yield README, "{} s are longer than the {} of silence", (proxy, of["--idle-timeout"])
    yield DEPLOY, "barews pings after {} of silence and gives up after {}.", (of["--ping-after"], of["--idle-timeout"].split()[0])
    yield DEPLOY, "here it is longer than the latter too, {} s", (proxy,)
    each = one(r"limit_conn clients (\d+)", "deploy/nginx.conf")
    assert each == one(r"sc0_conn_cur\(clients\) gt (\d+)", "deploy/haproxy.cfg")
    yield DEPLOY, "({} each, then 429, here)", (each,)
    minutes = one(r"worker_shutdown_timeout (\d+)m", "deploy/nginx.conf")
    assert minutes == one(r"hard-stop-after (\d+)m", "deploy/haproxy.cfg")
    yield DEPLOY, "these files end them after {} minutes", (minutes,)
    yield from bounds(default, number, of)
    half = int(default["--deflate-memory"][:-1]) >> 1
    yield DEPLOY, ("{} KiB for a connection's histories, or {} where the client has no `client_max_window_bits`: {} MiB in all, "
                   "for {:,} connections or {:,}"), (
        server + client, server + most, half,
        (half << 10) // (server + client) // 1000 * 1000, (half << 10) // (server + most) // 100 * 100)
    yield DEPLOY, "compresses and inflates at the moment: {} MiB in all", (half,)


def bounds(default, number, of):
    """How many connections one process can have."""
    seconds = int(one(r"const MAX_SENDING_THREADS: usize = (\d+)", "src/bin/barews/limits.rs"))
    yield DEPLOY, "| `--max-connections` {} | up to about {:,}; {:,} with more memory maps; with", (
        number["--max-connections"], (MAX_MAP_COUNT // MAPS - seconds) // 1000 * 1000, MAX_MAP_COUNT // MAPS // 1000 * 1000)
    yield DEPLOY, "{:,} of these at most (then 1013). Each has {} memory maps, so `vm.max_map_count`, {:,}, is reached at {:,} |", (
        seconds, MAPS, MAX_MAP_COUNT, MAX_MAP_COUNT // MAPS // 10 * 10)
    yield README, "put the ceiling near {:,} threads a process", (MAX_MAP_COUNT // MAPS // 1000 * 1000,)
    yield DEPLOY, "buffered of messages over {} KiB that are being received or handled, and with `--engine event-loop` of all that waits to be sent: {} in all", (
        counted_from(), of["--max-assembling"])
    backlog = re.search(r"Up to ([\d,]+) connections wait", HELP["text"])[1]
    yield DEPLOY, "a backlog of {}, as far as", (backlog,)


def per(option):
    """The seconds and KiB by which a longer message may take longer."""
    line = next(line for line in HELP["text"].splitlines() if option in line)
    return re.search(r"and (\d+)s for each (\d+)K", line).groups()


def counted_from():
    return re.search(r"held of messages over (\d+)K", HELP["text"])[1]


def table(text):
    """The cells of a table, and of its head, without what is bold in them."""
    lines = [line for line in text.lstrip().split("\n\n")[0].splitlines() if not set(line) <= set("|-: ")]
    head, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(head[1:], row[1:])) for row in rows}


def speed():
    """The README's table has rows and columns of two of docs/speed.md's, as they are there."""
    report = read("docs/speed.md")
    rates, memory = {}, table(report.split("### The servers' memory")[1])
    for title in ("### Messages a second, as a multiple of ours", "### The same beside other runtimes"):
        for work, cells in table(report.split(title)[1]).items():
            rates.setdefault(work, {}).update(cells)
    called = {"threads": "barews", "event loop": "barews, event loop", "raw, threads": "raw TCP, threads", "raw, epoll": "raw TCP, epoll",
              "tungstenite": "tungstenite, threads", "uWebSockets": "uWebSockets (C++)", "ws": "ws (Node.js)"}
    shown = "| Work |" + read(README).split("| Work |")[1].split("\n\n")[0]
    for work, cells in table(shown).items():
        row = rates.get(work) or memory[work]
        row = [row.get(called.get(name, name), "").strip("*") for name in cells]
        servers = [cell for name, cell in zip(cells, row) if cell and not name.startswith("raw")]
        best = (max if work in rates else min)(servers, key=float)
        row = [f"**{cell}**" if cell == best and not name.startswith("raw") else cell for name, cell in zip(cells, row)]
        yield README, f"| {work} | " + " | ".join(row) + " |", ()
    date, least, most, seconds = re.search(
        r"(\d{4}-\d\d-\d\d)\. Medians of (\d+)(?: to (\d+))? interleaved rounds, ([\d.]+) s each", report).groups()
    rounds = [WORDS[int(count)] for count in (least, most) if count]
    yield README, "on {}: medians of {} interleaved rounds", (date, " to ".join(rounds))
    yield README, "--seconds {} --rounds {}`", (seconds, least)
    cost = [re.search(rf"### {connections} connections, 20 B, 1 in flight\n.*?\n\| barews \|(.*?)\n", report, re.S)[1].split("|")[4].strip()
            for connections in ("50", "1,000")]
    yield README, "which takes {:.1f} µs of a core with 50 connections, {:.1f} with 1,000", map(float, cost)
    yield README, "Linux {}", (re.search(r"Linux (\d+\.\d+)", report)[1],)


def measured(machine):
    """In the copy of the machine, with the release binary."""
    security = machine.run("systemd-analyze security --offline=true deploy/barews.service | tail -n 1").text
    yield DEPLOY, "rates the unit {} ({})", re.search(r"barews.service: ([\d.]+) (\w+)", security).groups()
    low, high = map(int, machine.run("cat /proc/sys/net/ipv4/ip_local_port_range").text.split())
    yield DEPLOY, "of which a proxy has about {:,} towards one address", ((high - low + 1) // 1000 * 1000,)
    tasks = one(r"(?m)^#?DefaultTasksMax=(\d+)%", "/etc/systemd/system.conf")
    yield DEPLOY, "systemd allows {} % of", (tasks,)
    result = machine.run("python3 tests/documents/idle.py", timeout=120)
    assert result.status == 0, result.text
    resident, kernel, maps = map(float, result.text.split()[-3:])
    assert round(maps, 1) == MAPS, f"a thread has {maps} memory maps"
    print(f"documents: an idle connection takes {resident:.1f} KiB, and {kernel:.1f} KiB of the kernel's")
    if os.environ.get("CARGO_PROFILE_RELEASE_LTO") == "off":
        # Frames of the stack are larger, by a page.
        print("documents: what is not linked as a whole takes more, so that says nothing")
        resident = 11
    yield README, "An idle connection takes about {} KiB", (about(resident, 11),)
    result = machine.run("python3 tests/documents/idle.py --engine event-loop", timeout=120)
    assert result.status == 0, result.text
    looped = float(result.text.split()[-3])
    print(f"documents: on an event loop, it takes {looped:.2f} KiB")
    yield README, "and about {} KiB a connection", (about(looped, 1.5),)
    yield DEPLOY, "`--engine event-loop`: about {} KiB, and the socket", (about(looped, 1.5),)
    yield DEPLOY, "about {} KiB resident for an idle connection, and {} KiB of the kernel's", (about(resident, 11), about(kernel, 25))


def about(figure, said):
    """What is said, as long as it is right by a sixth: kernels and libraries differ."""
    return said if abs(figure - said) <= said / 6 else round(figure)
