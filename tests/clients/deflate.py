"""Python's websockets offers permessage-deflate in every way it can, to servers of every setting. Its zlib
refuses what refers further back than the window that was agreed to. The argument is the binary."""

import hashlib
import itertools
import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from websockets.exceptions import ConnectionClosedOK
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect

TIMEOUT = 60
AT_ONCE = 4

NAMES = ("server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits", "client_max_window_bits")
# None is absent; True is client_max_window_bits without a value. Its zlib cannot compress with 8 bits.
OFFERS = [*itertools.product((False, True), (False, True), (None, 8, 9, 12, 15), (None, True, 9, 12, 15))]
# Those that differ the most.
FEW = [(False, False, None, None), (False, False, 8, 9), (False, False, None, True), (True, False, 9, 15),
       (False, True, 15, None), (True, True, 12, 12)]  # fmt: skip

# Options of the server, and what differs from the defaults.
DEFAULTS = {"server_fresh": False, "client_fresh": False, "server_bits": 15, "client_bits": 12}
SETTINGS = [
    ("--deflate-server-no-context-takeover", {"server_fresh": True}),
    ("--deflate-client-no-context-takeover", {"client_fresh": True}),
    ("--deflate-server-max-window-bits 9", {"server_bits": 9}),
    ("--deflate-client-max-window-bits 9", {"client_bits": 9}),
    ("--deflate-client-max-window-bits 15 --deflate-history 32K", {"client_bits": 15}),
    ("--deflate-level 1 --deflate-threshold 0", {}),
    ("--deflate-level 9", {}),
]


def noise(length, seed):
    return hashlib.shake_256(seed.encode()).digest(length)


JSON = json.dumps([
    {"id": n, "name": f"sensor {n % 97}", "value": noise(2, str(n)).hex(), "tags": ["indoor", "on"], "at": 1700000000 + 7 * n}
    for n in range(4000)
])  # fmt: skip
assert len(JSON) > 300 << 10
GREEK = "Ἐν ἀρχῇ ἦν ὁ λόγος 👋🏽 世界 "

# A list is sent in fragments.
MESSAGES = [
    "", b"", "", "a", b"\0", "ü",
    *(JSON[size : 2 * size] for size in (31, 32, 33, 125, 126, 255, 256, 257, 1000, 4096, 16384, 65535, 65536)),
    GREEK, GREEK * 300, noise(31, "a"), noise(100, "b"), noise(5000, "c"), noise(70000, "d"),
    bytes(1 << 20), JSON, JSON[9:40000].encode(),
    ["in ", "", "fragments"], ["", GREEK, ""], [JSON[:5000], JSON[:5000]], [noise(3000, "e"), bytes(3000), noise(3000, "e")],
    # What does not compress between what does, and the same again.
    *(noise(300 + 40 * n, str(n % 3)) if n % 2 else JSON[60 * n : 60 * n + 600] for n in range(12)),
]  # fmt: skip


def whole(message):
    return message[0][:0].join(message) if isinstance(message, list) else message


@contextmanager
def serving(options):
    """The URL of a server with these options; it must end well."""
    command = [sys.argv[1], *options.split(), "127.0.0.1:0"]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        told = server.stderr.readline()
        while told and not (address := re.match(r"barews: listening on (\S+)", told)):
            told = server.stderr.readline()
        assert told, f"the server ended with {server.wait()}"
        yield f"ws://{address[1]}"
    finally:
        server.terminate()
        _, log = server.communicate(timeout=TIMEOUT)
        assert server.returncode == 0 and "panicked" not in log, log


def opened(url, offer):
    factory = ClientPerMessageDeflateFactory(*offer, compress_settings={"memLevel": 5})
    return connect(url, extensions=[factory], compression=None, max_size=None, ping_interval=None,
                   open_timeout=TIMEOUT, close_timeout=TIMEOUT)


def parameters(ws):
    """What was agreed to: a dictionary, with True for what has no value."""
    name, *rest = re.split(r" *; *", ws.response.headers["Sec-WebSocket-Extensions"])
    assert name == "permessage-deflate", name
    pairs = [parameter.partition("=") for parameter in rest]
    return {name: int(value) if equals else True for name, equals, value in pairs}


def agreed(offer, settings):
    """What a server of these settings must answer (RFC 7692 §7.1)."""
    server_fresh, client_fresh, server_bits, client_bits = offer
    answer = {
        NAMES[0]: server_fresh or settings["server_fresh"],
        NAMES[1]: client_fresh or settings["client_fresh"],
        NAMES[2]: server_bits and min(server_bits, settings["server_bits"]),
        NAMES[3]: client_bits and min(15 if client_bits is True else client_bits, settings["client_bits"]),
    }
    return {name: value for name, value in answer.items() if value}


def echoes(ws, messages, what):
    for number, message in enumerate(messages):
        ws.send(message)
        answer = ws.recv(TIMEOUT)
        # Not shown, for it may be a MiB.
        assert answer == whole(message), f"{what}: the echo of message {number} is another, {len(answer)} long"


def exchange(url, offer, settings, messages=MESSAGES):
    try:
        with opened(url, offer) as ws:
            answer = parameters(ws)
            assert answer == agreed(offer, settings), f"{offer}: {answer} was agreed to"
            echoes(ws, messages, offer)
            ws.close()
            assert ws.close_code == 1000, f"{offer}: closed with {ws.close_code}"
    except Exception as error:
        error.add_note(f"at the offer {dict(zip(NAMES, offer))} to a server of {settings}")
        raise


def matrix(options, offers, **differing):
    began = time.monotonic()
    with serving(f"--deflate {options}") as url, ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in threads.map(lambda offer: exchange(url, offer, DEFAULTS | differing), offers):
            pass
    took = time.monotonic() - began
    print(f"websockets: {options or '--deflate'}: {len(offers)} offers in {took:.1f} s")


def paths():
    """What the server fragments, and what it sends by itself."""
    with serving("--deflate") as url:
        for offer in FEW:
            for size in (1, 1000):
                short = [message for message in MESSAGES if len(whole(message)) < 70 * size]
                exchange(f"{url}/fragment/{size}", offer, DEFAULTS, 2 * short)
            with opened(f"{url}/count/300", offer) as ws:
                try:
                    for number in range(1, 302):
                        assert ws.recv(TIMEOUT) == str(number)
                except ConnectionClosedOK:
                    assert number == 301, number
    print("websockets: /fragment and /count")


matrix("", OFFERS)
for options, differing in SETTINGS:
    matrix(options, FEW, **differing)
paths()
