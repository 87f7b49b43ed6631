"""The processes of the test: those of tests/deploy, and a Redis."""

import importlib.util
import re
import subprocess
import urllib.request
from pathlib import Path

from redis_server import Redis

_path = Path(__file__).resolve().parents[1] / "deploy/stack.py"
_spec = importlib.util.spec_from_file_location("deploy_stack", _path)
deploy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(deploy)

free_ports, stop_on_signals, wait_until = (
    deploy.free_ports,
    deploy.stop_on_signals,
    deploy.wait_until,
)


class Stack(deploy.Stack):
    def __init__(self, server, scratch):
        super().__init__(server, scratch)
        self.servers = []  # each Redis

    def redis(self, *options):
        redis = Redis(self, free_ports(1)[0], *options)
        redis.start()
        self.servers.append(redis)
        return redis

    def end_entity(self):
        """A certificate that signs itself and no others, which rustls wants of a server's, and its key."""
        crt, key = self.scratch / "redis.crt", self.scratch / "redis.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-noenc", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE",
             "-keyout", key, "-out", crt],
            check=True, capture_output=True,
        )  # fmt: skip
        return crt, key

    def running(self):
        """The barews processes that there are."""
        return [p.name for p in self.processes if p.name in ("a", "b") and p.poll() is None]

    def process(self, name):
        (process,) = [p for p in self.processes if p.name == name and p.poll() is None]
        return process

    def kill(self, name):
        """As the power going out. Its connections end before it has: until then it still counts as running."""
        process = self.process(name)
        process.kill()
        process.wait()

    def metrics(self, name):
        url = f"http://127.0.0.1:{self.ports[name]}/metrics"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read().decode()

    def metric(self, name, metric):
        found = re.search(rf"^barews_{re.escape(metric)} (\S+)$", self.metrics(name), re.M)
        return float(found[1])

    def lost(self, name, direction):
        metric = f'backplane_lost_messages_total{{direction="{direction}"}}'
        return int(self.metric(name, metric))

    def is_connected(self, name):
        return self.metric(name, "backplane_connected") == 1

    def told_losses(self, name):
        """What the log of a process says was lost, of others and of its own, in all its lines."""
        lines = re.findall(
            r"lost (\d+) messages of other processes, and (\d+) of", self.log(name)
        )
        return [sum(int(line[i]) for line in lines) for i in (0, 1)]

    def rss(self, name):
        """Bytes of memory that a process has."""
        status = Path(f"/proc/{self.process(name).pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)[1]) << 10
