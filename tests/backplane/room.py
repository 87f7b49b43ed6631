"""Members of a room who send and receive, and what they have had of each other."""

import asyncio
import socket
import ssl
import time
from collections import defaultdict

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

TIMEOUT = 60  # seconds for what should take a moment


class Member:
    """Somebody in a room, who receives all the time. Messages are `name number`."""

    def __init__(self, name, process, ws):
        self.name = name
        self.process = process  # the name of the barews process that serves it
        self.ws = ws
        self.sent = 0
        self.order = []  # all that came: pairs of a sender and a number
        self.changed = asyncio.Event()
        self.task = asyncio.create_task(self.receive())
        self.latest = time.monotonic()  # when the last message came

    @classmethod
    async def join(cls, stack, name, room, process=None):
        """Joins by way of HAProxy, or of a process directly."""
        if process:
            ws = await connect(uri(stack, process, room), open_timeout=TIMEOUT, ping_interval=None, max_queue=None)
            await cls.is_in(ws)
            return cls(name, process, ws)
        tls = ssl.create_default_context(cafile=stack.scratch / "barews.crt")
        at = f"wss://localhost:{stack.ports['haproxy']}/broadcast/{room}"
        before = {process: opened(stack, process) for process in stack.running()}
        ws = await connect(at, ssl=tls, open_timeout=TIMEOUT, ping_interval=None, max_queue=None)
        await cls.is_in(ws)
        (process,) = [p for p, count in before.items() if opened(stack, p) > count]
        return cls(name, process, ws)

    @staticmethod
    async def is_in(ws):
        """Waits until it is in its room, which may be after the handshake: only then is a Ping answered."""
        await asyncio.wait_for(await ws.ping(), TIMEOUT)

    async def receive(self):
        try:
            async for message in self.ws:
                sender, number = message.split()[:2]
                self.order.append((sender, int(number)))
                self.latest = time.monotonic()
                self.changed.set()
        except ConnectionClosed:
            pass
        self.changed.set()

    async def send(self, count=1, pause=0.0, padding=""):
        for _ in range(count):
            self.sent += 1
            await self.ws.send(f"{self.name} {self.sent} {padding}")
            if pause:
                await asyncio.sleep(pause)

    async def wait(self, what, condition, timeout=TIMEOUT):
        """Waits until what it has received fulfils a condition."""
        async with asyncio.timeout(timeout):
            while not condition():
                assert not self.task.done(), f"{self.name} was cut, waiting for {what}"
                self.changed.clear()
                try:
                    await asyncio.wait_for(self.changed.wait(), 0.2)
                except TimeoutError:
                    pass

    def numbers(self):
        """What came of each sender, in order."""
        numbers = defaultdict(list)
        for sender, number in self.order:
            numbers[sender].append(number)
        return numbers

    def close_code(self):
        return self.ws.close_code if self.task.done() else None

    async def leave(self):
        await self.ws.close()
        await self.task


class Stuck(socket.socket):
    """A member who never reads, from a system that keeps little for it."""

    def __init__(self, port, room):
        super().__init__()
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.connect(("127.0.0.1", port))
        self.sendall(handshake(room))
        answer = self.recv(1024, socket.MSG_PEEK)
        assert answer.startswith(b"HTTP/1.1 101"), answer


def handshake(room):
    """The request of a client that is made by hand."""
    head = (
        f"GET /broadcast/{room} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    return head.encode()


def uri(stack, process, room):
    return f"ws://127.0.0.1:{stack.ports[process]}/broadcast/{room}"


def opened(stack, process):
    return stack.metric(process, "connections_opened_total")


def check_order(members):
    """Each had the messages of each sender in order, and none twice."""
    for member in members:
        for sender, numbers in member.numbers().items():
            for before, after in zip(numbers, numbers[1:]):
                assert before < after, (
                    f"{member.name} had {after} of {sender} after {before}"
                )


def check_all(members):
    """Each had everything from everyone."""
    check_order(members)
    for member in members:
        numbers = member.numbers()
        for sender in members:
            count = len(numbers[sender.name])
            assert count == sender.sent, (
                f"{member.name} had {count} of the {sender.sent} messages of {sender.name}"
            )


def check_losses(stack, members, before):
    """Each process says exactly how many messages of others its members have missed."""
    check_order(members)
    missed = {}
    for member in members:
        numbers = member.numbers()
        own = foreign = 0
        for sender in members:
            lacking = sender.sent - len(numbers[sender.name])
            if sender.process == member.process:
                own += lacking
            else:
                foreign += lacking
        assert own == 0, f"{member.name} missed {own} messages of its own process"
        told = stack.lost(member.process, "in") - before[member.process]
        assert foreign == told, (
            f"{member.name} missed {foreign} messages, and {member.process} says {told}"
        )
        missed[member.process] = foreign
    return missed
