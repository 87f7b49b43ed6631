"""Python's websockets with the programs of examples/, which are in the folder EXAMPLES."""

import asyncio
import hashlib
import json
import os
import signal
import ssl
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from websockets.asyncio.client import connect as asyncio_connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.sync.client import connect

EXAMPLES = Path(os.environ["EXAMPLES"])
TIMEOUT = 60
# A client that has no time for Pings: what it takes a while to read comes before their answers.
PATIENT = {"ping_interval": None, "open_timeout": TIMEOUT, "close_timeout": TIMEOUT}


@contextmanager
def example(name, *args, ends=False, stdout=None):
    """Starts one on a free port, and stops it unless it ends by itself: the URL and the process."""
    process = subprocess.Popen(
        [EXAMPLES / name, "127.0.0.1:0", *args],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stderr.readline()
        assert line.startswith("listening on ws"), line
        yield line.removeprefix("listening on ").strip(), process
        assert ends or process.poll() is None, f"{name} has ended: {process.stderr.read()}"
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def peak(process):
    """The most memory that it has used, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def upload():
    """1 GiB up and down again, in a constant amount of memory on both sides."""
    parts, size = 1024, 1 << 20
    part = hashlib.shake_256(b"a part").digest(size)
    digest = hashlib.sha256()

    def content():
        for number in range(parts):
            piece = number.to_bytes(4, "big") + part[4:]
            digest.update(piece)
            yield piece

    with tempfile.TemporaryDirectory() as folder, example("upload", folder) as (url, process):
        started = time.monotonic()
        with connect(f"{url}/large", compression=None, **PATIENT) as client:
            client.send(content())
            assert client.recv(TIMEOUT) == f"stored {parts * size} bytes"
        up, started = time.monotonic() - started, time.monotonic()
        copy, length = hashlib.sha256(), 0
        with connect(f"{url}/large?download", compression=None, max_size=None, **PATIENT) as client:
            for piece in client.recv_streaming():
                copy.update(piece)
                length += len(piece)
        down = time.monotonic() - started
        assert (length, copy.digest()) == (parts * size, digest.digest())
        memory = peak(process)
        assert memory < 8 << 20, f"{memory} bytes of memory"
        print(f"upload: 1 GiB up in {up:.1f} s, down in {down:.1f} s, {memory / (1 << 20):.1f} MiB resident at the most")


def json_rpc():
    with example("json_rpc") as (url, _), connect(url) as client:
        for number in range(100):
            request = {"jsonrpc": "2.0", "id": number, "method": "sum", "params": [number, 0.5]}
            client.send(json.dumps(request))
        for number in range(100):
            response = json.loads(client.recv(TIMEOUT))
            assert response == {"jsonrpc": "2.0", "id": number, "result": number + 0.5}, response


def auth():
    with example("auth") as (url, _):
        for name, value in [("Authorization", "Bearer token-of-ann"), ("Cookie", "session=session-of-bob")]:
            with connect(url, additional_headers={name: value}) as client:
                assert client.recv(TIMEOUT) in ("Hello, Ann!", "Hello, Bob!")
        try:
            with connect(url):
                raise AssertionError("let in")
        except InvalidStatus as error:
            assert error.response.status_code == 401
            assert json.loads(error.response.body) == {"error": "unauthorized"}


def heartbeat():
    with example("heartbeat") as (url, _), connect(f"{url}/?every=20") as client:
        told = [json.loads(client.recv(TIMEOUT))["uptime_ms"] for _ in range(20)]
        assert told == sorted(told) and told[-1] - told[0] >= 19 * 20, told
        # It is heard meanwhile.
        assert client.ping().wait(TIMEOUT)


def chat():
    """All hear everything in the same order."""
    members, each = 20, 50

    def talk(client):
        for number in range(each):
            client.send(f"number {number}")

    def listen(client):
        return [client.recv(TIMEOUT) for _ in range(members * each)]

    with example("chat") as (url, _), ExitStack() as open_ones, ThreadPoolExecutor(2 * members) as threads:
        clients = []
        for number in range(members):
            clients.append(open_ones.enter_context(connect(f"{url}/room?name=member{number}")))
            # Each of those who are there hears of the one who has come.
            for client in clients:
                assert client.recv(TIMEOUT) == f"* member{number} has come"
        heard = threads.map(listen, clients)
        list(threads.map(talk, clients))
        heard = list(heard)
        assert all(messages == heard[0] for messages in heard)
        for number in range(members):
            name = f"member{number}: "
            said = [text.removeprefix(name) for text in heard[0] if text.startswith(name)]
            assert said == [f"number {n}" for n in range(each)], said


async def echo(url, context):
    # The blocking client reads and writes on two threads, which Python 3.11's ssl does not always survive.
    async with asyncio_connect(url, ssl=context) as client:
        for message in ("hello", bytes(1 << 20)):
            await client.send(message)
            assert await asyncio.wait_for(client.recv(), TIMEOUT) == message


def tls():
    with tempfile.NamedTemporaryFile("r+") as certificate:
        with example("tls", stdout=certificate) as (url, _):
            context = ssl.create_default_context(cafile=certificate.name)
            asyncio.run(echo(url, context))
            with suppress(ssl.SSLCertVerificationError), connect(url):
                raise AssertionError("a certificate that nobody knows is trusted")


def embedded():
    with example("embedded", ends=True) as (url, process), connect(url) as client:
        client.send("another")
        assert client.recv(TIMEOUT) == "1"
        process.send_signal(signal.SIGTERM)
        try:
            client.recv(TIMEOUT)
            raise AssertionError("a message")
        except (ConnectionClosedOK, ConnectionClosedError) as error:
            assert error.rcvd.code == 1001
        assert process.wait(TIMEOUT) == 0


for test in (upload, json_rpc, auth, heartbeat, chat, tls, embedded):
    test()
    print(f"{test.__name__}: websockets is content")
