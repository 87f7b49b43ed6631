"""Runs what commands.py says in a copy of the machine, then has figures.py look at the figures."""

import subprocess
import sys
import time

import extract
import figures
from commands import HELP, HOW, ci_commands
from machine import REPO, Machine

DOCUMENTS = ("README.md", "deploy/README.md", "deploy/scaling.md", "docs/testing.md", "CONTRIBUTING.md")
END = "trap 'kill $(jobs -p) 2> /dev/null; wait' EXIT\n"
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
wait $command"""


def script(command, how):
    text = how.instead or command.text
    if how.beside:
        text = BESIDE.format(command=text, proof=how.beside, tries=how.timeout * 5)
    before = f"set -e\n{how.before}\n" if how.before else ""
    then = f"\nset -e\n{how.then}" if how.then else ""
    return f"{END}{before}set +e\n{text}{then}"


def attempt(machine, command, how):
    """What is wrong with it, or nothing."""
    if how.reason:
        return None
    if how.ci:
        return None if how.ci in ci_commands() else f".ci/run does not call: {how.ci}"
    result = machine.run(script(command, how), timeout=how.timeout + 20)
    if result.status != how.status:
        return f"ended with {result.status}:\n{result.text[-2000:]}"
    if command.output and not extract.matches(command.output, result.text):
        return f"printed:\n{result.text}in place of:\n{command.output}"
    return None


def all_commands(texts):
    found = {}
    for document, text in texts.items():
        find = extract.help_commands if document == HELP else extract.commands
        for command in find(document, text):
            found.setdefault((document, command.text.splitlines()[0]), []).append(command)
    return found


def main(websocat, only=""):
    texts = {name: (REPO / name).read_text() for name in DOCUMENTS}
    # As a shell has it that has no terminal: no escapes, no width.
    barews = REPO / "target/release/barews"
    texts[HELP] = subprocess.run([barews, "--help", "all"], capture_output=True, text=True, check=True).stdout
    found = all_commands(texts)
    failures = [f"{document}: no word of how to run: {text}" for document, text in found.keys() - HOW.keys()]
    failures += [f"{document}: no more there, but in commands.py: {text}" for document, text in HOW.keys() - found.keys()]
    counts = {"run": 0, "run by .ci/run": 0, "not run": 0}
    with Machine() as machine:
        done = machine.run(f"install '{barews}' '{websocat}' /usr/local/bin/")
        assert done.status == 0, done.text
        # In the order of the table: what is installed is used further down.
        for key, how in HOW.items():
            if only not in key[1]:
                continue
            for command in found.get(key, ()):
                began = time.monotonic()
                wrong = attempt(machine, command, how)
                kind = "not run" if how.reason else "run by .ci/run" if how.ci else "run"
                counts[kind] += 1
                if kind != "run by .ci/run" or wrong:
                    print(f"{'FAILED' if wrong else 'ok' if kind == 'run' else 'not run'}: {command}"
                          f" ({how.reason or format(time.monotonic() - began, '.1f') + ' s'})", flush=True)
                if wrong:
                    failures.append(f"{command}\n{wrong}")
        if not only:
            failures += figures.check(texts, machine)
    for failure in failures:
        print(f"\nFAILED: {failure}", file=sys.stderr)
    print("\ndocuments: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
