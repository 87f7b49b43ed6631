"""Has every client try every case at once, and makes the tables of docs/handshake-faults.md of what came of it.

The arguments are the server, the program of tungstenite, and `--write` for the tables to be written: else they are
compared with those that stand there. A browser's version and times may differ, nothing else."""

import difflib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

from cases import RETRY_AFTER, cases

HERE = Path(__file__).parent
DOCUMENT = HERE / "../../docs/handshake-faults.md"
BEGIN, END = "<!-- tests/reactions/run --write writes from here -->\n", "<!-- to here -->\n"
SERVER, TUNGSTENITE, WRITE = sys.argv[1], sys.argv[2], "--write" in sys.argv[3:]

# The longest that all cases may take one client, in seconds.
TIMEOUT = 600
# After a reset some read an end, if another call than a read was told of the reset: so they say either.
ENDS = {
    "^socket hang up$": "read ECONNRESET",
    "Connection ended$": "Connection ended: read ECONNRESET",
    "ERR_CONNECTION_CLOSED": "ERR_CONNECTION_RESET",
}
# What took longer than this, in seconds, is told with its time.
LONG = 5

CHROMIUM = "Chromium {}"
PYTHON = [sys.executable, str(HERE / "websockets_client.py")]
NODE = ["node", str(HERE / "node_client.mjs")]
PACKAGES = ["reconnecting-websocket", "graphql-ws", "mqtt"]
# A place for the version, and how each is started.
CLIENTS = {
    "websockets {}, blocking": [*PYTHON, "sync"],
    "websockets {}, asyncio": [*PYTHON, "asyncio"],
    "ws {}": [*NODE, "ws"],
    "undici {}": [*NODE, "undici"],
    "Bun {}": [str(HERE / "node_modules/.bin/bun"), str(HERE / "node_client.mjs"), "bun"],
    "tungstenite {}": [TUNGSTENITE],
    CHROMIUM: ["node", str(HERE / "chromium.mjs")],
}
# Those that try again by themselves.
RECONNECTING = {
    "`async for` of websockets {}": [*PYTHON, "reconnecting"],
    **{f"{name} {{}}": ["node", str(HERE / "reconnect.mjs"), name] for name in PACKAGES},
}


def start_server(log):
    """A server with all faults, who reads its log, and its address."""
    command = [SERVER, "--faults", "--log", "text", "127.0.0.1:0"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    server = subprocess.Popen(command, **quiet, stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        log.append(line)
        if found := re.search(r"listening on (\S+)", line):
            reader = threading.Thread(target=lambda: log.extend(server.stderr), daemon=True)
            reader.start()
            return server, reader, found[1]
    sys.exit("reactions: the server did not say where it listens: " + "".join(log))


def run(command, url, file):
    """What a client says: its version, and the results by case."""
    done = subprocess.run([*command, url, file], stdout=subprocess.PIPE, timeout=TIMEOUT, text=True, check=True)
    version, *results = map(json.loads, done.stdout.splitlines())
    return version["version"], {result.pop("case"): result for result in results}


def run_all(address, groups):
    """The same of every client, by its name; all of them at once."""
    url = f"ws://{address}"
    results, failed, threads = {}, [], []
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for kind, chosen in {
            "all": [case for name in groups if name != "retried" for case in groups[name]],
            "retried": groups["retried"],
        }.items():
            files[kind] = os.path.join(folder, kind)
            Path(files[kind]).write_text(json.dumps(chosen), encoding="utf-8")

        def one(name, command, file):
            try:
                results[name] = run(command, url, file)
            except Exception as error:
                failed.append(f"{name}: {error}")

        for kind, clients in ("all", CLIENTS), ("retried", RECONNECTING):
            for name, command in clients.items():
                threads.append(threading.Thread(target=one, args=(name, command, files[kind])))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failed:
        sys.exit("reactions: " + "; ".join(failed))
    return results


def table(head, rows):
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines) + "\n"


def fault_cell(case, result):
    does = "connects" if result["connected"] else "fails"
    assert result.get("echo", True), f"{case['path']}: connected, and no echo: {result}"
    assert "refused" not in message(result)[0].lower(), f"{case['path']}: there is no server: {result}"
    took = f" after {round(result['seconds'])} s" if result["seconds"] > LONG else ""
    return (does if case["right"] in (does, "may") else f"**{does}**") + took


def status(result):
    """The status, if the client tells it in any way."""
    if seen := result.get("seen"):
        return str(seen["status"])
    found = re.search(r"\b[2-5]\d\d\b", result.get("says") or "")
    return found and found[0]


def refusal_cell(result, connected):
    return connected if result["connected"] else status(result) or "fails"


def message(result):
    """What a client says, without what differs from run to run, and its close code."""
    text = re.sub(r"'ws://\S+'", "'…'", result.get("says") or "")
    text = re.sub(r"127\.0\.0\.1:\d+", "…", text)
    # A key, or what is made of it.
    text = re.sub(r"\b[A-Za-z0-9+/]{27}=", "…", text)
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) <= 150 else text[:149] + "…", str(result.get("code", "–"))


def told(case, result):
    """The same where the status is one of many."""
    says, code = message(result)
    if case["path"] == "/handshake/reset":
        for end, reset in ENDS.items():
            says = re.sub(end, reset, says)
    elif not case["path"].startswith("/handshake/"):
        says = re.sub(r"\b[2-5]\d\d\b( [A-Z][A-Za-z ]*$)?", "…", says)
    return says, code


def short(cases):
    """The names of cases, where statuses are numbers alone."""
    names = [case["name"].replace("/handshake/", "") for case in cases]
    for start in "`/status/", "`/auth/":
        like = [name for name in names if name.startswith(start) and name.endswith("`") and name.count("`") == 2]
        if len(like) > 1:
            ends = ", ".join(name.removeprefix(start).rstrip("`") for name in like)
            names = [name for name in names if name not in like] + [f"{start}…` ({ends})"]
    return ", ".join(names)


def learned(name, result):
    """What a program gets to know of a refusal."""
    seen = result.get("seen", {})
    where = "only its console" if name == CHROMIUM else "in its message" if status(result) else "no"
    known = ["yes" if seen.get(part) else "no" for part in ("headers", "body")]
    return ["yes" if seen else where, *known, message(result)[1]]


def again_cell(case, result):
    if not result["retries"]:
        return "no"
    return "again, too early" if "Retry-After" in case["path"] and result["waited"] < RETRY_AFTER else "again"


def tables(groups, results):
    heads = [name.format(results[name][0]) for name in CLIENTS]
    found = [results[name][1] for name in CLIENTS]

    def rows(group, cell, *columns):
        return [
            [case["name"].replace("/handshake/", ""), *(case[column] for column in columns)]
            + [cell(case, client[case["name"]]) for client in found]
            for case in groups[group]
        ]

    yield "\n### Faults of the 101\n\n"
    yield table(["`/handshake/…`", "Rule", "Right", *heads], rows("faults", fault_cell, "rule", "right"))
    yield "\n### Redirects\n\n"
    yield table(["Answer", *heads], rows("redirects", lambda _, result: refusal_cell(result, "follows")))
    yield "\n### Refusals\n\n"
    yield table(["Answer", *heads], rows("refusals", lambda _, result: refusal_cell(result, "connects")))
    yield "\n### What a program learns of a 429\n\n"
    learnt = [[head, *learned(name, client["`/status/429`"])] for name, head, client in zip(CLIENTS, heads, found)]
    yield table(["Client", "Status", "`Retry-After`", "Body", "Close code"], learnt)

    yield "\n### Trying again by themselves\n\n"
    again = [
        [case["name"]] + [again_cell(case, results[name][1][case["name"]]) for name in RECONNECTING]
        for case in groups["retried"]
    ]
    yield table(["Answer", *(name.format(results[name][0]) for name in RECONNECTING)], again)

    yield "\n### What they say\n"
    everything = groups["faults"] + groups["redirects"] + groups["refusals"]
    for head, client in zip(heads, found):
        said = {}
        for case in everything:
            result = client[case["name"]]
            if not result["connected"]:
                said.setdefault(told(case, result), []).append(case)
        yield f"\n{head}:\n\n"
        lines = [[short(cases), f"`{says}`" if says else "nothing", code] for (says, code), cases in said.items()]
        yield table(["At", "Says", "Close code"], lines)


def check_log(groups, results, log):
    """Who says that it connected is one whom the server has seen going on, and the other way round."""
    said, seen = Counter(), Counter(re.findall(r"the client went on after (\S+)", "".join(log)))
    for case in groups["faults"]:
        kind = case["path"].removeprefix("/handshake/").split("?")[0]
        said[kind] += sum(results[name][1][case["name"]]["connected"] for name in CLIENTS)
    assert +said == seen, f"the server has seen {seen}, and the clients say {said}"


def masked(text):
    """Without what may differ."""
    text = re.sub(r"Chromium \d+", "Chromium", text)
    return re.sub(r" after \d+ s", "", text)


def attempt():
    """The tables of all clients."""
    log = []
    server, reader, address = start_server(log)
    try:
        groups = cases(address)
        results = run_all(address, groups)
        assert server.poll() is None, "the server ended"
    except BaseException:
        sys.stderr.write("".join(log[-20:]))
        raise
    finally:
        server.terminate()
        server.wait()
        reader.join()
    check_log(groups, results, log)
    return "".join(tables(groups, results))


def changes(old, new):
    old, new = (masked(text).strip().splitlines() for text in (old, new))
    return list(difflib.unified_diff(old, new, "documented", "found", lineterm="", n=0))


def main():
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    old, rest = rest.split(END)
    new = attempt()
    if WRITE:
        DOCUMENT.write_text(before + BEGIN + new + "\n" + END + rest, encoding="utf-8")
        return
    found = changes(old, new)
    if found:
        # Clients have deadlines of their own, and pass them where the machine stands still.
        print(*found, "reactions: once more", sep="\n", flush=True)
        found = changes(old, attempt())
    if found:
        print("\n".join(found))
        sys.exit("reactions: not as docs/handshake-faults.md says; if that is right: tests/reactions/run --write")
    print(f"reactions: {len(CLIENTS)} clients, all as documented")


main()
