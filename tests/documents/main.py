"""Runs what commands.py says in a copy of the machine, then has figures.py look at the figures."""

import json
import subprocess
import sys
import time
from collections import Counter

import extract
import figures
import names
from commands import HELP, HOW, SERVER, ci_commands
from machine import REPO, Machine

DOCUMENTS = ("README.md", "deploy/README.md", "deploy/scaling.md", "docs/testing.md", "docs/compression.md",
             "docs/handshake-faults.md", "CONTRIBUTING.md")
# What is left in the background ends with its command.
END = "trap 'status=$?; set +e; kill $(jobs -p) 2> /dev/null; wait; exit $status' EXIT\n"
# What must be so while a command runs; then SIGTERM ends it, and its status counts.
BESIDE = """{{ {command}
}} & command=$!
for ((i = 0; i < {tries}; i++)); do
    ! {{ {proof}; }} || break
    kill -0 $command 2> /dev/null || break
    sleep 0.2
done
((i < {tries})) && kill -0 $command || exit 99
pkill --signal TERM --parent $command
status=0
wait $command || status=$?
((status == {ends}))"""


# What a document has sleep for a second, for a machine that stood still meanwhile.
PATIENTLY = "sleep() { command sleep 5; }\n"


def script(command, how):
    text = how.instead or command.text
    if how.beside:
        text = BESIDE.format(command=text, proof=how.beside, tries=how.timeout * 5, ends=how.ends)
    errors = "set +e" if how.fails else "set -e"
    return f"{END}set -e\n{how.before}\n{errors}\n{text}\nset -e\n{how.then}"


def attempt(machine, command, how):
    """What is wrong with it, or nothing."""
    if how.reason:
        return None
    if how.ci:
        return None if how.ci in ci_commands() else f".ci/run does not call: {how.ci}"
    result = machine.run(script(command, how), timeout=how.timeout + 20)
    if result.status != 0:
        print(f"{command}: ended with {result.status}; once more, with time", flush=True)
        result = machine.run(PATIENTLY + script(command, how), timeout=5 * how.timeout + 100)
    if result.status != 0:
        return f"ended with {result.status}:\n{result.text[-2000:]}"
    if command.output and not extract.matches(command.output, result.text):
        return f"printed:\n{result.text}in place of:\n{command.output}"
    return None


def paths(machine):
    """What help, manual and page have of the paths: one table, which the server tells."""
    result = machine.run(f"{END}{SERVER}\ncurl --silent --fail http://127.0.0.1:9001/paths.json")
    assert result.status == 0, result.text
    return json.loads(result.text)


def example(machine, row):
    """What is wrong with the example of a path, or nothing."""
    options = "--faults" if row["faults"] else "--tls-self-signed" if "https://" in row["example"] else ""
    start = SERVER.replace("barews", f"barews {options}", 1).replace("2>", "> /tmp/cert.pem 2>")
    result = machine.run(f"{END}cd /tmp\n{start}\n{row['example']}")
    print(f"{'ok' if extract.matches(row['output'], result.text) else 'FAILED'}: {row['path']}", flush=True)
    if not extract.matches(row["output"], result.text):
        return f"{row['path']}: {row['example']}\nprinted:\n{result.text[:2000]}in place of:\n{row['output']}"
    return None


def all_commands(texts, examples):
    found = {}
    for document, text in texts.items():
        find = extract.help_commands if document == HELP else extract.commands
        for command in find(document, text):
            # Those of the paths are known from the table that they are made from.
            if document == HELP and any(command.text in example for example in examples):
                continue
            found.setdefault((document, command.text.splitlines()[0]), []).append(command)
    return found


def unknown(found):
    """What either of documents and table has alone."""
    return [f"{document}: nothing in commands.py tells how to run: {text}" for document, text in found.keys() - HOW.keys()] + [
        f"{document} has no more what is in commands.py: {text}" for document, text in HOW.keys() - found.keys()]


def run_all(machine, found, only):
    """In the order of the table, for what is installed is used further down. Returns the failures."""
    failures, counts = [], Counter()
    for key, how in HOW.items():
        for command in found.get(key, ()):
            if only not in command.text:
                continue
            began = time.monotonic()
            wrong = attempt(machine, command, how)
            took = f"{time.monotonic() - began:.1f} s"
            kind = "not run" if how.reason else "run by .ci/run" if how.ci else "run"
            counts[kind] += 1
            print(f"{'FAILED' if wrong else kind}: {command} ({how.reason or how.ci or took})", flush=True)
            if wrong:
                failures.append(f"{command}\n{wrong}")
                print(wrong, flush=True)
    print("documents: " + ", ".join(f"{count} commands {kind}" for kind, count in counts.items()))
    return failures


def main(websocat, only=""):
    texts = {name: (REPO / name).read_text() for name in DOCUMENTS}
    barews = REPO / "target/release/barews"
    # The manual is made from the same texts.
    texts[HELP] = subprocess.run([barews, "--help", "all"], capture_output=True, text=True, check=True).stdout
    with Machine() as machine:
        done = machine.run(f"install '{barews}' '{websocat}' /usr/local/bin/")
        assert done.status == 0, done.text
        rows = paths(machine)
        found = all_commands(texts, [row["example"] for row in rows])
        failures = [] if only else unknown(found) + names.check(texts, rows)
        failures += run_all(machine, found, only)
        failures += [wrong for row in rows if only in row["example"] and (wrong := example(machine, row))]
        if not only:
            failures += figures.check(texts, machine)
    for failure in failures:
        print(f"\nFAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
