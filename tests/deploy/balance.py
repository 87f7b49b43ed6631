"""HAProxy over two barews processes, one of which stops under load.

Asserted, with 50 clients that echo all the time and newcomers one after another:

- every answer is the message that was sent, and no handshake fails, at any time;
- the clients of the process that stays are never cut, and none of their echoes fails;
- the clients of the one that stops, and as many as HAProxy says it had, are closed
  with 1001, once; the message that was on its way then may go unanswered. They get
  in again at their first attempt;
- the process that stops exits with 0; HAProxy shows it down, and up once it is back,
  and it is given connections again.
"""

import asyncio
import ssl
import time
from dataclasses import dataclass, field

import websockets
from websockets.asyncio.client import connect

CLIENTS = 50
PAUSE = 0.05  # seconds between two messages of a client
TIMEOUT = 60  # seconds for an answer
ENOUGH = 20  # echoes of each client before the stop, and after it


@dataclass
class Tally:
    """What happened to a client."""

    echoes: int = 0
    closed: list = field(default_factory=list)  # the codes of the server's Closes
    longest: float = 0.0  # seconds between two echoes
    last: float = field(default_factory=time.monotonic)

    def echoed(self):
        now = time.monotonic()
        self.echoes += 1
        self.longest = max(self.longest, now - self.last)
        self.last = now


class Load:
    def __init__(self, stack, certificate):
        self.stack = stack
        self.uri = f"wss://localhost:{stack.ports['haproxy']}/"
        self.tls = ssl.create_default_context(cafile=certificate)
        self.clients = [Tally() for _ in range(CLIENTS)]
        self.newcomers = 0
        self.turned_over = 0  # newcomers that the stop met in their first moment
        self.stop = False
        self.gate = asyncio.Lock()  # held by a newcomer while it is connected

    def connect(self):
        # A handshake that fails raises and ends the test: there is no second attempt.
        return connect(self.uri, ssl=self.tls, open_timeout=TIMEOUT, ping_interval=None)

    async def echo(self, ws, message):
        # Not wait_for: before Python 3.12 it may swallow a cancellation.
        async with asyncio.timeout(TIMEOUT):
            await ws.send(message)
            answer = await ws.recv()
        assert answer == message, f"{answer!r} in place of {message!r}"

    async def client(self, number):
        tally = self.clients[number]
        while not self.stop:
            async with self.connect() as ws:
                try:
                    while not self.stop:
                        await self.echo(ws, f"client {number}, message {tally.echoes}")
                        tally.echoed()
                        await asyncio.sleep(PAUSE)
                except websockets.ConnectionClosed as closed:
                    tally.closed.append(closed.rcvd.code if closed.rcvd else "cut")

    async def newcomer(self):
        while not self.stop:
            async with self.gate, self.connect() as ws:
                self.newcomers += 1
                try:
                    await self.echo(ws, f"newcomer {self.newcomers}")
                except websockets.ConnectionClosed as closed:
                    assert closed.rcvd and closed.rcvd.code == 1001, closed
                    self.turned_over += 1
            await asyncio.sleep(0)

    def sessions(self):
        """How many connections HAProxy says that each process has."""
        return [int(self.stack.haproxy_server(name)["scur"]) for name in "ab"]

    def status(self, name):
        # While the checks change their mind it is like "UP 1/2".
        return self.stack.haproxy_server(name)["status"]


async def until(what, condition, tasks, timeout=60):
    """Waits for the condition; a task that fails meanwhile fails this too."""
    deadline = time.monotonic() + timeout
    while not condition():
        for task in tasks:
            if task.done():
                task.result()
        assert time.monotonic() < deadline, f"after {timeout} s still not so: {what}"
        await asyncio.sleep(0.02)


async def scenario(stack, certificate, process, restart):
    load = Load(stack, certificate)
    tasks = [asyncio.create_task(load.client(i)) for i in range(CLIENTS)]
    tasks.append(asyncio.create_task(load.newcomer()))
    try:
        await until("HAProxy sees both up", lambda: [*map(load.status, "ab")] == ["UP"] * 2, tasks)
        await until("all echo", lambda: min(c.echoes for c in load.clients) >= ENOUGH, tasks)
        await stop(load, process, tasks)
        await come_back(load, restart, tasks)
        load.stop = True
        await until("the clients end", lambda: all(task.done() for task in tasks), tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def stop(load, process, tasks):
    """Stops the process in the middle of the load and checks what that did."""
    async with load.gate:
        await until("only clients are left", lambda: sum(load.sessions()) == CLIENTS, tasks)
        on_a, on_b = load.sessions()
        newcomers = load.newcomers
        process.terminate()
    begin = time.monotonic()
    await until("the process ends", lambda: process.poll() is not None, tasks)
    took = time.monotonic() - begin
    assert process.returncode == 0, f"the process ended with {process.returncode}"
    await until("HAProxy shows it down", lambda: load.status("a") == "DOWN", tasks)
    down = time.monotonic() - begin
    refused = int(load.stack.haproxy_server("a")["wredis"])
    assert refused > 0, "nobody was sent to the one that had stopped: nothing is proved"
    goals = [client.echoes + ENOUGH for client in load.clients]
    await until(
        "all echo again, and newcomers too",
        lambda: all(client.echoes >= goal for client, goal in zip(load.clients, goals))
        and load.newcomers >= newcomers + ENOUGH,
        tasks,
    )
    moved = [client for client in load.clients if client.closed]
    stayed = [client for client in load.clients if not client.closed]
    assert min(on_a, on_b) > 0, f"unevenly spread: {on_a} and {on_b}"
    codes = [client.closed for client in moved]
    assert codes == [[1001]] * on_a, f"{on_a} clients were on it; the codes: {codes}"
    print(f"SIGTERM to one of two under the load of {CLIENTS} clients:")
    print(f"  it had {on_a}, all closed with 1001; exit 0 after {took:.2f} s; down after {down:.1f} s")
    print(f"  the other's {on_b}: all echoes answered, the slowest {slowest(stayed)}")
    print(f"  the {len(moved)} moved without a failed handshake, the slowest in {slowest(moved)}")
    print(
        f"  {load.newcomers - newcomers} newcomers since, each let in,"
        f" {load.turned_over} of them met by the 1001"
    )
    print(f"  HAProxy chose the stopped one {refused} times more, and took the other at once")


def slowest(clients):
    return f"{max(client.longest for client in clients) * 1000 - PAUSE * 1000:.0f} ms"


async def come_back(load, restart, tasks):
    """Starts the process again, and sees it get connections."""
    restart()
    await until("HAProxy shows it up", lambda: load.status("a") == "UP", tasks)
    async with load.gate:
        async with load.connect() as one, load.connect() as other:
            await load.echo(one, "one")
            await load.echo(other, "other")
            # One who has just left may still be among them.
            await until("both are on the process that had none", lambda: load.sessions()[0] == 2, tasks)
    print("  back again: up, and the first to get new connections")


def run(stack, certificate, process, restart):
    """The whole scenario; returns what failed."""
    try:
        asyncio.run(scenario(stack, certificate, process, restart))
    except Exception as error:
        return [f"load balancing: {type(error).__name__}: {error}"]
    return []
