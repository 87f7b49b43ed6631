"""Starts everything, runs the checks, and says what failed: see `run`."""

import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

import drain
import prometheus

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy"


class Barews:
    """A server with an admin listener."""

    def __init__(self, server, scratch, name, *options):
        self.log = pathlib.Path(scratch, f"{name}.log")
        command = [server, "127.0.0.1:0", "--admin", "127.0.0.1:0", *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=subprocess.DEVNULL)
        self.address = self.find(r"listening on (?:wss?://)?([\d.]+):(\d+)")
        self.admin = self.find(r"admin on http://([\d.]+):(\d+)")

    def find(self, pattern):
        deadline = time.monotonic() + 60
        while not (found := re.search(pattern, self.log.read_text())):
            assert time.monotonic() < deadline and self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        return found[1], int(found[2])

    def ask(self, path, method="GET"):
        """The status and the body of what the admin listener says."""
        host, port = self.admin
        request = urllib.request.Request(f"http://{host}:{port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def main(server):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        start = lambda name, *options: Barews(server, scratch, name, *options)
        for check in [*prometheus.CHECKS, *drain.CHECKS]:
            try:
                check(start, DEPLOY, scratch)
                print(f"ok    {check.__doc__}")
            except Exception:
                failures += 1
                print(f"FAIL  {check.__doc__}")
                traceback.print_exc()
        for log in pathlib.Path(scratch).glob("*.log"):
            if "panicked at" in log.read_text():
                failures += 1
                print(f"FAIL  {log.name} has a panic")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
