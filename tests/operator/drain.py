"""A drain behind HAProxy, with the file of deploy/, under load."""

import json
import os
import re
import socket
import subprocess
import threading
import time

from client import Client

CLIENTS = 40
# Longer than any of the programs may stand still: all that are asked to go meanwhile go at once.
OVER = 15


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def haproxy(scratch, port, servers):
    """A frontend as plain as may be, and the checks and the balance of deploy/haproxy.cfg."""
    lines = [
        "defaults", "  mode http", "  timeout connect 2s", "  timeout client 30s",
        "  timeout server 30s", "  timeout tunnel 130s", "  option redispatch", "  retries 2",
        "listen barews", f"  bind 127.0.0.1:{port}", "  balance leastconn",
        "  option httpchk GET /healthz",
        # Else a check has 200 ms, which is little for a machine that is busy.
        "  timeout check 10s",
        "  default-server check inter 200ms fall 2 rise 2",
        *(f"  server {name} {host}:{at}" for name, (host, at) in servers.items()),
    ]  # fmt: skip
    path = os.path.join(scratch, "haproxy.cfg")
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    return subprocess.Popen(["haproxy", "-q", "-db", "-f", path], stderr=subprocess.DEVNULL)


class Load(threading.Thread):
    """A client that echoes, and comes back when it is asked to go."""

    def __init__(self, address, stop):
        super().__init__(daemon=True)
        self.address, self.stop = address, stop
        self.told, self.failure = [], None

    def run(self):
        try:
            client = Client(self.address)
            while not self.stop.is_set():
                if not client.echo(b"x"):
                    self.told.append(time.monotonic())
                    client.end()
                    client = Client(self.address)
                time.sleep(0.02)
            client.close()
        except Exception as error:
            self.failure = error


def connections(server):
    return json.loads(server.ask("/drain")[1])["connections"]


def behind_haproxy(start, deploy, scratch):
    """a server is drained behind HAProxy under load: all come back elsewhere, a few at a time"""
    with start("a") as a, start("b") as b:
        port = free_port()
        proxy = haproxy(scratch, port, {"a": a.address, "b": b.address})
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    Client(("127.0.0.1", port)).close()
                    break
                except Exception:
                    assert time.monotonic() < deadline, "HAProxy does not serve"
                    time.sleep(0.05)
            stop = threading.Event()
            clients = [Load(("127.0.0.1", port), stop) for _ in range(CLIENTS)]
            for client in clients:
                client.start()
            while connections(a) < CLIENTS // 4 or connections(a) + connections(b) < CLIENTS:
                assert time.monotonic() < deadline, "they are not balanced"
                time.sleep(0.05)
            # Without those that are no WebSockets, as HAProxy's checks.
            _, metrics = a.ask("/metrics")
            before = int(re.search(r"^barews_connections (\d+)$", metrics, re.M)[1])
            begun = time.monotonic()
            status, text = a.ask(f"/drain?over={OVER}s", "POST")
            assert status == 200 and json.loads(text)["state"] == "draining", text
            assert a.ask("/healthz")[0] == 503
            while json.loads(a.ask("/drain")[1])["state"] != "drained" or connections(a) > 2:
                # HAProxy's check is a connection too, for a moment.
                assert time.monotonic() < begun + OVER + 60, a.ask("/drain")
                time.sleep(0.05)
            assert a.stop() == 0
            time.sleep(0.5)
            stop.set()
            for client in clients:
                client.join(60)
            failures = [client.failure for client in clients if client.failure]
            assert not failures, failures
            told = sorted(at - begun for client in clients for at in client.told)
            assert len(told) >= before, (before, told)
            # Evenly: no second has more than two thirds of them.
            most = max(sum(second <= at < second + 1 for at in told) for second in range(OVER + 1))
            assert most <= len(told) * 2 / 3, told
        finally:
            proxy.terminate()
            proxy.wait()


CHECKS = [behind_haproxy]
