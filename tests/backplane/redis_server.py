"""A Redis of the test's own, and as much of its protocol as a test needs."""

import socket
import time


class Redis:
    """A `redis-server` on a free port, which keeps its port when it is started again."""

    def __init__(self, stack, port, *options):
        self.stack, self.port, self.options = stack, port, options
        self.url = f"redis://127.0.0.1:{port}"
        self.process = None

    def start(self):
        self.process = self.stack.spawn(
            "redis", "redis-server", "--port", str(self.port), "--bind", "127.0.0.1",
            "--save", "", "--appendonly", "no", "--dir", str(self.stack.scratch), *self.options,
        )  # fmt: skip
        self.stack.ready(self.process, self.port)

    def kill(self):
        """As the power going out."""
        self.process.kill()
        self.process.wait()
        self.stack.processes.remove(self.process)

    def command(self, *args):
        """Sends a command, and returns its answer as it came."""
        with socket.create_connection(("127.0.0.1", self.port), 60) as conn:
            conn.sendall(encode(*args))
            return conn.recv(65536)

    def wait_for_subscribers(self, channel, count, timeout=60):
        deadline = time.monotonic() + timeout
        while f"\r\n:{count}\r\n".encode() not in self.command("PUBSUB", "NUMSUB", channel):
            assert time.monotonic() < deadline, f"{channel} has not {count} subscribers"
            time.sleep(0.02)


def encode(*args):
    args = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in args]
    parts = [b"*%d\r\n" % len(args)]
    parts += [b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args]
    return b"".join(parts)
