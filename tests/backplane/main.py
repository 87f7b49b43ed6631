"""Runs the checks, each with processes of its own, and says what failed: see `run`."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import checks
from stack import Stack, stop_on_signals


# What the log says where a process has not heard of Redis for seconds.
SILENCE = ("silence for", "no answer in time", "did not come back")


def run(check, server):
    """Runs one of them; what is wrong, or None, and whether somebody stood still for seconds."""
    wrong, stalled = None, False
    with tempfile.TemporaryDirectory() as scratch, Stack(server, scratch) as stack:
        try:
            asyncio.run(check(stack))
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        for name in "ab":
            if name in stack.ports and "panicked" in stack.log(name):
                wrong = f"{wrong}; {name} panicked"
        if wrong:
            for log in sorted(stack.scratch.glob("[ab].log")):
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
                print(f"\nthe end of {log.name}:\n{tail}", file=sys.stderr)
                stalled |= any(words in log.read_text(errors="replace") for words in SILENCE)
    return wrong, stalled


def main(server, names):
    stop_on_signals()
    failures = []
    for check in checks.CHECKS:
        if names and check.__name__ not in names:
            continue
        print(f"{check.__name__}: {check.__doc__}", flush=True)
        start = time.monotonic()
        wrong, stalled = run(check, server)
        if wrong and stalled:
            # Then it is right to take Redis for gone, and that is one outage more than the check reckons with.
            print(f"  {wrong}; once more, for something stood still", flush=True)
            wrong, _ = run(check, server)
        print(f"  {time.monotonic() - start:.1f} s", flush=True)
        if wrong:
            failures.append(f"{check.__name__}: {wrong}")
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
