"""Programs that come with a system, over TLS: Python's websockets, openssl s_client, curl. The arguments are
the binary, and the folder for certificates."""

import asyncio
import contextlib
import hashlib
import itertools
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

BINARY, FOLDER = sys.argv[1], Path(sys.argv[2])
TIMEOUT = 60

# The first 22 bytes of an answer are its status; this one has no subprotocol to be followed.
REQUEST = (
    b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Server:
    """A server with these options, until the end of a `with`; it must end well."""

    def __init__(self, *options):
        self.options = options
        self.log = []
        self.is_stopped = False

    def __enter__(self):
        command = [BINARY, *self.options, "127.0.0.1:0"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.told = threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        line = self.wait_for(r"listening on (?:wss://)?(\S+)")
        host, _, port = line[1].rpartition(":")
        self.address = (host, int(port))
        return self

    def read(self):
        for line in self.process.stderr:
            with self.told:
                self.log.append(line.rstrip("\n"))
                self.told.notify_all()

    def wait_for(self, pattern, after=0):
        """The first line of the log that has it, of those after so many."""
        find = lambda: next(filter(None, (re.search(pattern, line) for line in self.log[after:])), None)
        with self.told:
            assert self.told.wait_for(find, TIMEOUT), f"no line tells {pattern}: {self.log[-5:]}"
            return find()

    def stop(self):
        """Once only: a second signal would be in a hurry."""
        if not self.is_stopped:
            self.is_stopped = True
            self.process.terminate()

    def __exit__(self, *_):
        self.stop()
        status = self.process.wait(TIMEOUT)
        self.reader.join(TIMEOUT)
        assert status == 0, (status, self.log[-5:])
        assert not any("panicked" in line for line in self.log), self.log[-5:]


@contextlib.contextmanager
def self_signed(*options):
    """A server that has made its own certificate, and a context that trusts it."""
    with Server("--tls-self-signed", *options) as server:
        pem = "".join(iter(server.process.stdout.readline, "-----END CERTIFICATE-----\n")) + "-----END CERTIFICATE-----\n"
        server.cert = FOLDER / "self-signed.pem"
        server.cert.write_text(pem)
        yield server, ssl.create_default_context(cafile=server.cert)


def opened(server, context, path="/echo"):
    """Not the blocking client: it reads and writes on two threads, and Python 3.11's ssl now and then loses what one
    of them writes while the other reads the first ticket."""
    host, port = server.address
    url = f"wss://{host}:{port}{path}"
    return connect(url, ssl=context, ping_interval=None, max_size=None, proxy=None, open_timeout=TIMEOUT,
                   close_timeout=TIMEOUT)


async def received(ws):
    return await asyncio.wait_for(ws.recv(), TIMEOUT)


def get(server, context, path):
    host, port = server.address
    with urllib.request.urlopen(f"https://{host}:{port}{path}", context=context, timeout=TIMEOUT) as response:
        return response.read().decode()


def metric(server, context, name):
    values = [line.rpartition(" ")[2] for line in get(server, context, "/metrics").splitlines() if line.startswith(name)]
    return sum(map(float, values))


def noise(length, seed):
    return hashlib.shake_256(seed.encode()).digest(length)


MESSAGES = ["", "a", "Ἐν ἀρχῇ 👋🏽", b"\0", *(noise(size, "m") for size in (125, 16384, 65536, 1 << 20, 16 << 20))]


def websockets_echo():
    with self_signed() as (server, context):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.minimum_version = context.maximum_version = version
            asyncio.run(one_by_one(server, context))
            asyncio.run(both_ways(server, context))
            told = asyncio.run(opened_headers(server, context))
            assert f'"tls":{{"version":"{version.name.replace("_", ".")}","cipher":"TLS_' in told, told
        assert metric(server, context, "barews_tls_certificate_expiry_timestamp_seconds") > time.time() + 86400


async def one_by_one(server, context):
    async with opened(server, context) as ws:
        for number, message in enumerate(MESSAGES):
            await ws.send(message)
            assert await received(ws) == message, f"message {number} with {context.maximum_version}"
        await asyncio.wait_for(await ws.ping("a"), TIMEOUT)
        await ws.close(4003, "bye")
        assert (ws.close_code, ws.close_reason) == (4003, "bye")


async def both_ways(server, context):
    """More than any buffer holds, in both directions at once."""
    parts = [noise(1 << 20, str(n)) for n in range(4)] * 16
    async with asyncio.timeout(5 * TIMEOUT), opened(server, context) as ws:

        async def send():
            for part in parts:
                await ws.send(part)

        sending = asyncio.create_task(send())
        for number, part in enumerate(parts):
            assert await ws.recv() == part, number
        await sending


async def opened_headers(server, context):
    async with opened(server, context, "/headers") as ws:
        return await received(ws)


def resumption():
    """A session goes on in the next connection, as browsers want it."""
    with self_signed() as (server, context):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.minimum_version = context.maximum_version = version
            session = None
            for is_second in (False, True):
                raw = socket.create_connection(server.address, TIMEOUT)
                with context.wrap_socket(raw, server_hostname="localhost", session=session) as stream:
                    assert stream.session_reused == is_second, version
                    stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    # The ticket of TLS 1.3 comes with what is read.
                    answer = b"".join(iter(lambda: stream.recv(4096), b""))
                    assert answer.endswith(b"ok\n"), answer
                    session = stream.session


def not_trusted():
    with self_signed() as (server, context):
        for _ in range(2):
            try:
                # Unlike Python 3.11's asyncio, it tells the server why.
                raw = socket.create_connection(server.address, TIMEOUT)
                ssl.create_default_context().wrap_socket(raw, server_hostname="localhost")
            except ssl.SSLCertVerificationError:
                pass
            else:
                raise AssertionError("a client has trusted anybody")
        server.wait_for(r"refused: .*(certificate|unknown|trust)")
        deadline = time.monotonic() + TIMEOUT
        while (count := metric(server, context, 'barews_refused_total{reason="tls_')) < 2:
            assert time.monotonic() < deadline, count
        # The name has to be right too.
        try:
            raw = socket.create_connection(server.address, TIMEOUT)
            context.wrap_socket(raw, server_hostname="other.example")
        except ssl.SSLCertVerificationError as error:
            assert "other.example" in str(error), error
        else:
            raise AssertionError("a client has taken one name for another")


def s_client():
    """Raw frames through openssl: an echo and a Close. Then a line that has it ask for a KeyUpdate of both sides."""
    hello, close = b"\x81\x85\0\0\0\0Hello", b"\x88\x82\0\0\0\0\x03\xe8"
    for version, asks in itertools.product(("-tls1_2", "-tls1_3"), (b"", b"K\n")):
        if asks and version == "-tls1_2":
            continue
        with self_signed() as (server, _):
            host, port = server.address
            command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", server.cert, version,
                       "-verify_return_error", "-verify_ip", host, "-alpn", "http/1.1"]  # fmt: skip
            command += [] if asks else ["-quiet"]
            client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            watchdog = threading.Timer(TIMEOUT, client.kill)
            watchdog.start()

            def until(end):
                read = b""
                while not read.endswith(end):
                    byte = client.stdout.read(1)
                    assert byte, read
                    read += byte
                return read

            def send(data):
                client.stdin.write(data)
                client.stdin.flush()

            send(REQUEST)
            assert b"HTTP/1.1 101 " in until(b"\r\n\r\n")
            if asks:
                send(asks)
                until(b"KEYUPDATE\n")
            for _ in range(3):
                send(hello)
                until(b"\x81\x05Hello")
            send(close)
            until(b"\x88\x02\x03\xe8")
            # The server ends TLS, and then TCP, so that the client ends too.
            client.stdin.close()
            client.stdout.read()
            assert client.wait(TIMEOUT) == 0
            watchdog.cancel()
            server.wait_for(r"/echo: 3 messages 15 bytes in, 3 messages 15 bytes out.*peer closed 1000")


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", "--max-time", str(TIMEOUT), *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def http():
    with self_signed() as (server, _):
        host, port = server.address
        here = f"https://localhost:{port}"
        trust = ["--cacert", server.cert, "--resolve", f"localhost:{port}:{host}"]
        assert curl(*trust, f"{here}/healthz") == (0, "ok\n", "")
        status, body, _ = curl(*trust, "-i", f"{here}/cert.pem")
        assert (status, body.endswith(server.cert.read_text())) == (0, True), body
        assert "content-type: application/pem-certificate-chain" in body.lower()
        assert "strict-transport-security" not in body.lower()
        # CURLE_PEER_FAILED_VERIFICATION.
        assert curl(f"https://{host}:{port}/")[0] == 60
        # Both families of mistakes are told to both sides.
        status, body, _ = curl("-i", f"http://{host}:{port}/")
        assert status == 0 and body.startswith("HTTP/1.1 400 ") and "https://" in body and "wss://" in body, body
        server.wait_for(r"refused: .*HTTP")
    with Server() as server:
        host, port = server.address
        # CURLE_SSL_CONNECT_ERROR, with what OpenSSL says of such a server.
        status, _, wrong = curl(f"https://{host}:{port}/")
        assert status == 35 and "wrong version number" in wrong, (status, wrong)
        server.wait_for(r"refused: .*TLS")


def certificate(name):
    """A certificate and a key in files of their own."""
    cert, key = FOLDER / f"{name}.crt", FOLDER / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


async def echo(server, context):
    async with opened(server, context) as ws:
        await ws.send("a")
        return await received(ws)


def key_formats():
    """Keys as openssl writes them today, and as it did long ago; and those that no server can use."""
    key, cert, other = (FOLDER / name for name in ("any.key", "any.crt", "other.key"))
    curve = ("-algorithm", "EC", "-pkeyopt")
    for make in (
        ("genpkey", *curve, "ec_paramgen_curve:P-256", "-out", key),
        ("genpkey", *curve, "ec_paramgen_curve:P-384", "-out", key),
        # SEC 1, with the name of the curve in a section before it.
        ("ecparam", "-name", "prime256v1", "-genkey", "-out", key),
        ("genpkey", "-algorithm", "ed25519", "-out", key),
        ("genrsa", "-out", key, "2048"),
        # PKCS #1.
        ("genrsa", "-traditional", "-out", key, "2048"),
    ):
        openssl(*make)
        openssl("req", "-x509", "-key", key, "-out", cert, "-subj", "/CN=any", "-addext", "subjectAltName=IP:127.0.0.1")
        context = ssl.create_default_context(cafile=cert)
        with Server("--tls-cert", str(cert), "--tls-key", str(key)) as server:
            assert asyncio.run(echo(server, context)) == "a", make
            # The log's fingerprint is the one that others show.
            fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(cert.read_text())).hexdigest()
            assert server.wait_for(r"SHA-256 ([0-9A-F:]+), ")[1].replace(":", "").lower() == fingerprint
    for make, wrong in (
        (("pkey", "-in", key, "-aes256", "-passout", "pass:a", "-out", other), "is encrypted"),
        (("rsa", "-in", key, "-aes256", "-passout", "pass:a", "-traditional", "-out", other), "is encrypted"),
        (("genrsa", "-out", other, "1024"), "is of no kind that there is here"),
        (("genpkey", *curve, "ec_paramgen_curve:P-521", "-out", other), "is of no kind that there is here"),
        (("pkey", "-in", key, "-outform", "der", "-out", other), "is not PEM but DER"),
        (("pkey", "-in", key, "-pubout", "-out", other), "has no private key in it"),
    ):
        openssl(*make)
        command = [BINARY, "--tls-cert", cert, "--tls-key", other, "127.0.0.1:0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        told = f"barews: --tls-key {other}: {wrong}"
        assert done.returncode == 2 and done.stderr.startswith(told), (make, done)


def open_files(pid):
    names = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        # A connection may end meanwhile.
        with contextlib.suppress(FileNotFoundError):
            names.append(os.readlink(fd))
    return names


def reload_under_load():
    """SIGHUP while clients talk and others come: those who talk go on, those who come see the new one."""
    pairs = [certificate(name) for name in ("first", "second")]
    bundle = FOLDER / "both.pem"
    bundle.write_text("".join(cert.read_text() for cert, _ in pairs))
    context = ssl.create_default_context(cafile=bundle)
    expected = [ssl.PEM_cert_to_DER_cert(cert.read_text()) for cert, _ in pairs]
    cert, key = FOLDER / "live.crt", FOLDER / "live.key"

    def install(source_cert, source_key):
        # As certbot does: another file in the place of the old one.
        for source, target in ((source_cert, cert), (source_key, key)):
            new = target.with_suffix(".new")
            new.write_bytes(source.read_bytes())
            new.chmod(0o600)
            os.replace(new, target)

    def reload(server, pattern):
        before = len(server.log)
        server.process.send_signal(signal.SIGHUP)
        return server.wait_for(pattern, before)

    def seen(server):
        with context.wrap_socket(socket.create_connection(server.address, TIMEOUT), server_hostname="127.0.0.1") as stream:
            return stream.getpeercert(binary_form=True)

    install(*pairs[0])
    with Server("--tls-cert", str(cert), "--tls-key", str(key)) as server:
        stop, wrong, counts = threading.Event(), [], [0, 0]

        async def talk(number):
            async with opened(server, context) as ws:
                while not stop.is_set():
                    message = noise(1000 + 37 * number, str(number))
                    await ws.send(message)
                    assert await received(ws) == message
                    counts[0] += 1

        async def come(_):
            while not stop.is_set():
                assert await echo(server, context) == "a"
                counts[1] += 1

        async def all_of_them():
            await asyncio.gather(*(of(number) for of in (talk, come) for number in range(4)))

        def run():
            try:
                asyncio.run(all_of_them())
            except Exception as error:
                wrong.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        for turn in range(20):
            now = (turn + 1) % 2
            install(*pairs[now])
            reload(server, r"reloaded: certificate for 127\.0\.0\.1 until ")
            assert seen(server) == expected[now], turn
            # What is broken changes nothing, whatever it is.
            if turn % 5 == 0:
                key.write_bytes(pairs[1 - now][1].read_bytes())
                reload(server, r"not reloaded, .*--tls-key .*belongs to no certificate")
                cert.write_text("")
                reload(server, r"not reloaded, .*--tls-cert .*is empty")
                cert.unlink()
                reload(server, r"not reloaded, .*--tls-cert .*cannot be read")
                assert seen(server) == expected[now], turn
        # A quick machine is through before they are.
        deadline = time.monotonic() + TIMEOUT
        while min(counts) <= 20 and not wrong and time.monotonic() < deadline:
            time.sleep(0.01)
        stop.set()
        thread.join()
        assert not wrong, wrong
        assert min(counts) > 20, counts
        assert metric(server, context, 'barews_tls_reloads_total{result="ok"}') == 20
        assert metric(server, context, 'barews_tls_reloads_total{result="failed"}') == 12
        # It has opened the files of the day, and nothing is left of the others.
        assert not any("crt" in name for name in open_files(server.process.pid))
        # Those who are connected when it ends are told.
        asyncio.run(told_of_the_end(server, context))
    print(f"reload: {counts[0]} messages and {counts[1]} connections meanwhile")


async def told_of_the_end(server, context):
    async with opened(server, context) as ws:
        server.stop()
        try:
            message = await received(ws)
        except ConnectionClosed as closed:
            assert closed.rcvd.code == 1001, closed
        else:
            raise AssertionError(message)


for check in (websockets_echo, resumption, not_trusted, s_client, http, key_formats, reload_under_load):
    began = time.monotonic()
    check()
    print(f"{check.__name__}: as it should be, in {time.monotonic() - began:.1f} s")
