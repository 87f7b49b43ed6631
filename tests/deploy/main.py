"""Starts everything, runs the checks, and says what failed: see `run`."""

import sys
import tempfile

import balance
import echo
from stack import Stack, stop_on_signals

# Real time on a smaller scale: barews pings after 1 s in place of 60, and the
# proxies cut after 8 s of silence in place of 130.
OPTIONS = ("--ping-after", "1s", "--idle-timeout", "60s", "--deflate")
PROXY_TIMEOUT = "8s"


def main(server):
    stop_on_signals()
    with tempfile.TemporaryDirectory() as scratch, Stack(server, scratch) as stack:
        certificate = stack.certificate()
        first = stack.barews("a", *OPTIONS)
        stack.barews("b", *OPTIONS)
        stack.nginx("a", PROXY_TIMEOUT)
        stack.haproxy("a", "b", PROXY_TIMEOUT)
        stack.barews("tls", *OPTIONS, "--tls-cert", certificate, "--tls-key", stack.scratch / "barews.key")
        stack.nginx("tls", PROXY_TIMEOUT, "nginx-to-tls", certificate)
        stack.haproxy("tls", "tls", PROXY_TIMEOUT, "haproxy-to-tls", certificate)
        others = stack.processes[1:]
        failures = echo.run(stack, certificate)
        failures += balance.run(stack, certificate, first, lambda: stack.barews("a", *OPTIONS))
        for process in others:
            if process.poll() is not None:
                failures.append(f"{process.name} ended with {process.returncode}")
        for name in ("a", "b", "tls"):
            if "panicked" in stack.log(name):
                failures.append(f"barews {name} panicked")
        if failures:
            for name in ("a", "b", "tls", "nginx", "haproxy", "nginx-to-tls", "haproxy-to-tls"):
                tail = "\n".join(stack.log(name).splitlines()[-5:])
                print(f"\nthe end of {name}'s log:\n{tail}", file=sys.stderr)
        for failure in failures:
            print(f"FAILED: {failure}", file=sys.stderr)
        return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
