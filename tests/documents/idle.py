"""What an idle connection takes: KiB resident of the server, KiB of the kernel, memory maps. Prints these three.

The arguments are more options of the server."""

import socket
import subprocess
import sys
import time
from pathlib import Path

COUNT = 2000
REQUEST = (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")


def kibibytes(path, *names):
    lines = dict(line.split(":", 1) for line in Path(path).read_text().splitlines())
    return sum(int(lines[name].split()[0]) for name in names)


def state(pid):
    # The threads' stacks, and page tables. What a socket takes is in slabs, of which the client has as many.
    kernel = kibibytes("/proc/meminfo", "KernelStack", "PageTables") + kibibytes("/proc/meminfo", "SUnreclaim") / 2
    maps = len(Path(f"/proc/{pid}/maps").read_text().splitlines())
    return kibibytes(f"/proc/{pid}/status", "VmRSS"), kernel, maps


def connect(count):
    """Opened at once, answered at once."""
    clients = [socket.create_connection(("127.0.0.1", 9001)) for _ in range(count)]
    for client in clients:
        client.sendall(REQUEST)
    for client in clients:
        assert client.recv(4096).startswith(b"HTTP/1.1 101"), "no upgrade"
    return clients


def main():
    with subprocess.Popen(["barews", "--log", "off", "--ping-after", "off", *sys.argv[1:]], stderr=subprocess.DEVNULL) as server:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", 9001)) == 0:
                    break
            time.sleep(0.05)
        try:
            first = connect(100)  # what is set up once is set up now
            before = state(server.pid)
            clients = connect(COUNT)
            after = state(server.pid)
            print(*((now - then) / COUNT for now, then in zip(after, before)))
            del first, clients
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
