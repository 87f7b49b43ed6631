"""Echoes through each proxy, with real clients."""

import asyncio
import functools
import http.client
import os
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from wsproto.events import Ping

from http2 import TIMEOUT, Http2, Refused
from stack import wait_until

CAP = 100  # connections that the proxies let one address have
SILENCE = 10  # seconds: longer than the proxies' timeout in this test
SPOOFED = ("X-Forwarded-For", "192.0.2.1")


class Http1WebSocket:
    """The `websockets` client, with the methods of `Http2WebSocket`.

    Its asyncio variant, in a loop of its own: the one with threads reads and writes
    one TLS socket from two of them, which before Python 3.13 can lose a message.
    """

    loop = asyncio.new_event_loop()

    def __init__(self, port, tls, source, path="/", headers=(), compress=False):
        scheme = "wss" if tls else "ws"
        connecting = connect(
            f"{scheme}://localhost:{port}{path}", host="127.0.0.1", local_addr=(source, 0),
            ssl=tls, additional_headers=list(headers), max_size=None, ping_interval=None,
            open_timeout=TIMEOUT, close_timeout=TIMEOUT,
            compression="deflate" if compress else None,
        )  # fmt: skip
        try:
            self.ws = self.wait(connecting.__aenter__())
        except InvalidStatus as refused:
            raise Refused(refused.response.status_code) from None
        self.extensions = self.ws.response.headers.get("Sec-WebSocket-Extensions")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Cuts the connection, if it was not closed."""
        self.loop.call_soon_threadsafe(self.ws.transport.abort)

    def wait(self, coroutine, timeout=TIMEOUT):
        limited = asyncio.wait_for(coroutine, timeout)
        return asyncio.run_coroutine_threadsafe(limited, self.loop).result()

    def send(self, message):
        self.wait(self.ws.send(message))

    def recv(self):
        return self.wait(self.ws.recv())

    def ping(self, payload):
        self.wait(self.wait(self.ws.ping(payload)))
        return payload  # the client matches Pongs by their payload

    def idle(self, seconds):
        time.sleep(seconds)  # the loop answers Pings

    def close(self, code, reason):
        self.wait(self.ws.close(code, reason))
        close = self.ws.protocol.close_rcvd
        return close and (close.code, close.reason)


class Way:
    """A way to barews: through which proxy, with which protocol."""

    def __init__(self, name, port, certificate=None, http2=False):
        self.name, self.port, self.http2 = name, port, http2
        self.certificate = certificate
        self.protocol = "HTTP/2" if http2 else "HTTP/1.1"

    def __str__(self):
        return f"{self.name}, {self.protocol}"

    def tls(self):
        return self.certificate and ssl.create_default_context(cafile=self.certificate)

    def door(self, source="127.0.0.1"):
        """What opens WebSockets: with HTTP/2, all within one connection."""
        if self.http2:
            return Http2(self.port, self.tls(), source).websocket
        return functools.partial(Http1WebSocket, self.port, self.tls(), source)

    def websocket(self, path="/", headers=(), source="127.0.0.1", compress=False):
        return self.door(source)(path, headers, compress)

    def get(self, path, source="127.0.0.1"):
        """Status and body of a plain request, with HTTP/1.1."""
        options = {"timeout": TIMEOUT, "source_address": (source, 0)}
        if tls := self.tls():
            conn = http.client.HTTPSConnection("localhost", self.port, context=tls, **options)
        else:
            conn = http.client.HTTPConnection("127.0.0.1", self.port, **options)
        try:
            conn.request("GET", path)
            answer = conn.getresponse()
            return answer.status, answer.read().decode()
        finally:
            conn.close()


def expect(got, wanted):
    if got != wanted:
        shown = [value if len(repr(value)) < 80 else f"{repr(value)[:80]}…" for value in (got, wanted)]
        raise AssertionError(f"{shown[0]!r} in place of {shown[1]!r}")


def text(way):
    with way.websocket() as ws:
        for message in ("", "a", "grüße 👋", "x" * 65536):
            ws.send(message)
            expect(ws.recv(), message)
        expect(ws.close(1000, ""), (1000, ""))


def large(way):
    with way.websocket() as ws:
        message = os.urandom(1 << 20)
        ws.send(message)
        expect(ws.recv(), message)
        expect(ws.close(1000, ""), (1000, ""))


def deflate(way):
    """An offer passes the proxy, and so does its answer, and what is compressed then."""
    with way.websocket(compress=True) as ws:
        name, *parameters = (ws.extensions or "none").split("; ")
        expect((name, "client_max_window_bits=12" in parameters), ("permessage-deflate", True))
        text = "grüße 👋, " * 9000
        for message in ("", "a", text, bytes(1 << 20), os.urandom(1 << 16), text):
            ws.send(message)
            expect(ws.recv(), message)
        expect(ws.close(1000, ""), (1000, ""))


def fragments(way):
    with way.websocket() as ws:
        for parts in (["one ", "", "☃", " three"], ["y" * 70000, "z" * 70000]):
            ws.send(parts)
            expect(ws.recv(), "".join(parts))
        expect(ws.close(1000, ""), (1000, ""))


def ping(way):
    with way.websocket() as ws:
        for payload in (b"", b"are you there", bytes(range(125))):
            expect(ws.ping(payload), payload)
        expect(ws.close(1000, ""), (1000, ""))


def close(way):
    with way.websocket() as ws:
        expect(ws.close(4001, "mirrored"), (4001, "mirrored"))


def plain(way):
    """The page and the health check; the metrics for this machine's own address only."""
    status, page = way.get("/")
    expect((status, "<html" in page), (200, True))
    expect(way.get("/healthz"), (200, "ok\n"))
    expect(way.get("/metrics")[0], 200)
    expect(way.get("/metrics", source="127.0.0.2")[0], 403)


def forwarded(way):
    """What the client claims in X-Forwarded-For gives way to its address."""
    with way.websocket("/headers", [SPOOFED], source="127.0.0.2") as ws:
        head = ws.recv().lower()
        assert "127.0.0.2" in head and SPOOFED[1] not in head, head
        expect(ws.close(1000, ""), (1000, ""))


def silence(way):
    """barews pings a silent connection often enough for the proxy not to cut it."""
    with way.websocket() as ws:
        ws.idle(SILENCE)
        ws.send("still there")
        expect(ws.recv(), "still there")
        expect(ws.close(1000, ""), (1000, ""))


def cap(ways):
    """One address may have so many WebSockets at a proxy, whichever way they come."""
    source = "127.0.0.3"
    with ExitStack() as held:
        doors = [way.door(source) for way in ways]
        for _ in range(CAP // 2):
            some = [held.enter_context(door()) for door in doors]
        for way, door in zip(ways, doors):
            try:
                held.enter_context(door())
            except Refused as refused:
                expect(refused.args, (429,))
            else:
                raise AssertionError(f"{way} let in connection {CAP + 1} of one address")
            with way.websocket(source="127.0.0.4") as ws:
                expect(ws.close(1000, ""), (1000, ""))
        for ws in some:
            expect(ws.close(1000, ""), (1000, ""))
        for door in doors:
            held.enter_context(door())


def two_streams(way):
    """Two WebSockets within one HTTP/2 connection do not hold each other up."""
    door = way.door()
    # Longer than any of the programs may stand still.
    with door("/delay/3000") as slow, door() as quick:
        slow.send("slow")
        quick.send("quick")
        expect(quick.recv(), "quick")
        expect([event for event in slow.events if not isinstance(event, Ping)], [])
        expect(slow.recv(), "slow")
        for ws in slow, quick:
            expect(ws.close(1000, ""), (1000, ""))


def chromium(stack, way):
    """The browser, from the page: through HAProxy its WebSocket is one more HTTP/2 stream."""
    url = f"https://localhost:{way.port}/"
    path = f"/from-{way.port}"
    variables = {"PAGE_URL": url, "WS_PATH": path, "CHROMIUM": os.environ["CHROMIUM"]}
    name = f"chromium-{way.port}"
    script = Path(__file__).with_name("chromium.mjs")
    node = stack.spawn(name, "node", script, env=os.environ | variables)
    try:
        node.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        node.terminate()  # on which it ends its browser
        node.wait(10)
    assert node.returncode == 0, stack.log(name)[-1000:]
    if "HAProxy" in way.name:
        line = f'"GET https://localhost:{way.port}{path} HTTP/2.0"'
        wait_until(f"HAProxy's log has {line}", lambda: line in stack.log("haproxy"))


CHECKS = (text, large, deflate, fragments, ping, close, plain, forwarded)


def run(stack, certificate):
    """All checks through all proxies; prints the table and returns the failures."""
    ports = stack.ports
    ways = (
        Way("nginx", ports["nginx"]),
        Way("nginx, TLS", ports["nginx-tls"], certificate),
        Way("HAProxy, TLS", ports["haproxy"], certificate),
        Way("HAProxy, TLS", ports["haproxy"], certificate, http2=True),
    )
    # barews speaks TLS itself, and the proxy trusts its certificate.
    encrypted = (
        Way("nginx to TLS", ports["nginx-to-tls-tls"], certificate),
        Way("HAProxy to TLS", ports["haproxy-to-tls"], certificate),
        Way("HAProxy to TLS", ports["haproxy-to-tls"], certificate, http2=True),
    )
    threading.Thread(target=Http1WebSocket.loop.run_forever, daemon=True).start()
    failures = []

    def check(name, test, *args):
        start = time.monotonic()
        try:
            test(*args)
        except Exception as error:
            failures.append(f"{name}: {type(error).__name__}: {error}")
            return "FAILED"
        return f"{(time.monotonic() - start) * 1000:.0f} ms"

    columns = [test.__name__ for test in (*CHECKS, silence)]
    print(f"{'through':15}{'with':10}" + "".join(f"{column:>11}" for column in columns))
    every = ways + encrypted
    with ThreadPoolExecutor(len(every)) as threads:
        # These are silent while the rest goes on.
        silent = [threads.submit(check, f"{way}, silence", silence, way) for way in every]
        for way, last in zip(every, silent):
            cells = [check(f"{way}, {test.__name__}", test, way) for test in CHECKS]
            cells.append(last.result())
            print(f"{way.name:15}{way.protocol:10}" + "".join(f"{cell:>11}" for cell in cells))

    print(f"two WebSockets in one HTTP/2 connection: {check('two streams', two_streams, ways[3])}")
    for way in ways[1], ways[3]:
        took = check(f"Chromium through {way.name}", chromium, stack, way)
        print(f"Chromium's page and WebSocket through {way}: {took}")
    for proxy, pair in ("nginx", ways[:2]), ("HAProxy", ways[2:]):
        took = check(f"{proxy}, connections of one address", cap, pair)
        print(f"{proxy}: {CAP} connections of one address, not one more: {took}")
    return failures
