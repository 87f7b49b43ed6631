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
from pathlib import Path

from cases import RETRY_AFTER, cases

HERE = Path(__file__).parent
DOCUMENT = HERE / "../../docs/handshake-faults.md"
BEGIN, END = "<!-- tests/reactions/run --write writes from here -->\n", "<!-- to here -->\n"
SERVER, TUNGSTENITE, WRITE = sys.argv[1], sys.argv[2], "--write" in sys.argv[3:]

# The longest that all cases may take one client, in seconds.
TIMEOUT = 150
# What took longer than this, in seconds, is told with its time.
LONG = 5

PYTHON = [sys.executable, str(HERE / "websockets_client.py")]
NODE = ["node", str(HERE / "node_client.mjs")]
CLIENTS = {
    "websockets, blocking": [*PYTHON, "sync"],
    "websockets, asyncio": [*PYTHON, "asyncio"],
    "ws": [*NODE, "ws"],
    "undici (Node.js)": [*NODE, "undici"],
    "Bun": [str(HERE / "node_modules/.bin/bun"), str(HERE / "node_client.mjs"), "bun"],
    "tungstenite": [TUNGSTENITE],
    "Chromium": ["node", str(HERE / "chromium.mjs")],
}
RECONNECTING = [*PYTHON, "reconnecting"]


def start_server(log):
    """A server with all faults, and its address."""
    command = [SERVER, "--faults", "--log", "text", "127.0.0.1:0"]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        log.append(line)
        if found := re.search(r"listening on (\S+)", line):
            threading.Thread(target=lambda: log.extend(server.stderr), daemon=True).start()
            return server, found[1]
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

        for name, command in CLIENTS.items():
            threads.append(threading.Thread(target=one, args=(name, command, files["all"])))
        threads.append(threading.Thread(target=one, args=("reconnecting", RECONNECTING, files["retried"])))
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


def after(result):
    return f" after {round(result['seconds'])} s" if result["seconds"] > LONG else ""


def fault_cell(case, result):
    does = "connects" if result["connected"] else "fails"
    assert result.get("echo", True), f"{case['path']}: connected, and no echo: {result}"
    wrong = case["right"] not in (does, "may")
    return (f"**{does}**" if wrong else does) + after(result)


def status(result):
    """The status, if the client tells it in any way."""
    if seen := result.get("seen"):
        return str(seen["status"])
    found = re.search(r"\b[2-5]\d\d\b", result.get("says") or "")
    return found and found[0]


def refusal_cell(result):
    if result["connected"]:
        return "connects"
    return status(result) or "fails"


def clean(text):
    """A message without what differs from run to run."""
    text = re.sub(r"'ws://\S+'", "'…'", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "…", text)
    text = re.sub(r"\b[A-Za-z0-9+/]{27}=", "…", text)
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) <= 150 else text[:149] + "…"


def message(result):
    says = clean(result.get("says") or "")
    code = f"{result['code']}" if "code" in result else ""
    return says, code


def tables(groups, results):
    heads = [f"{name} {results[name][0]}" for name in CLIENTS]
    found = {name: results[name][1] for name in CLIENTS}
    yield "### Faults of the 101\n\n"
    rows = [
        [case["name"].replace("/handshake/", ""), case["rule"], case["right"]]
        + [fault_cell(case, found[name][case["name"]]) for name in CLIENTS]
        for case in groups["faults"]
    ]
    yield table(["`/handshake/…`", "Rule", "Right", *heads], rows)

    yield "\n### Redirects\n\n"
    rows = [
        [case["name"]] + ["follows" if found[name][case["name"]]["connected"] else refusal_cell(found[name][case["name"]]) for name in CLIENTS]
        for case in groups["redirects"]
    ]
    yield table(["Answer", *heads], rows)

    yield "\n### Refusals\n\n"
    rows = [
        [case["name"]] + [refusal_cell(found[name][case["name"]]) for name in CLIENTS]
        for case in groups["refusals"]
    ]
    yield table(["Answer", *heads], rows)

    yield "\n### What a program learns of a 429\n\n"
    rows = []
    for name, head in zip(CLIENTS, heads):
        result = found[name]["`/status/429`"]
        seen = result.get("seen", {})
        yes = lambda known: "yes" if known else "no"
        rows.append([head, yes(status(result) and name != "Chromium"), yes(seen.get("headers")), yes(seen.get("body")), message(result)[1] or "–"])
    yield table(["Client", "Status", "`Retry-After`", "Body", "Close code"], rows)

    yield "\n### Trying again without being told\n\n"
    rows = []
    for case in groups["retried"]:
        result = results["reconnecting"][1][case["name"]]
        waits = "–"
        if result.get("retries") and "Retry-After" in case["path"]:
            waits = "yes" if result["waited"] >= RETRY_AFTER else "no"
        rows.append([case["name"], "yes" if result.get("retries") else "no", waits])
    yield table(["Answer", "Tries again", "Waits as long as `Retry-After` says"], rows)

    yield "\n### What they say\n"
    for name, head in zip(CLIENTS, heads):
        said = {}
        for case in groups["faults"] + groups["redirects"] + groups["refusals"]:
            result = found[name][case["name"]]
            if not result["connected"]:
                said.setdefault(message(result), []).append(case["name"].replace("/handshake/", ""))
        yield f"\n{head}:\n\n"
        rows = [[", ".join(names), f"`{says}`" if says else "nothing", code or "–"] for (says, code), names in said.items()]
        yield table(["At", "Says", "Close code"], rows)


def masked(text):
    """Without what may differ."""
    text = re.sub(r"Chromium \d+", "Chromium", text)
    return re.sub(r"after \d+ s", "after a while", text)


def main():
    log = []
    server, address = start_server(log)
    try:
        groups = cases(address)
        results = run_all(address, groups)
        assert server.poll() is None, "the server ended"
    except BaseException:
        sys.stderr.write("".join(log[-20:]))
        raise
    finally:
        server.kill()
    new = "".join(tables(groups, results))
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    old, rest = rest.split(END)
    if WRITE:
        DOCUMENT.write_text(before + BEGIN + "\n" + new + "\n" + END + rest, encoding="utf-8")
        return
    old, new = (masked(text).strip().splitlines() for text in (old, new))
    changes = list(difflib.unified_diff(old, new, "documented", "found", lineterm="", n=0))
    if changes:
        print("\n".join(changes))
        sys.exit("reactions: not as docs/handshake-faults.md says; if that is right: tests/reactions/run --write")
    print(f"reactions: {len(CLIENTS)} clients, all as documented")


main()
