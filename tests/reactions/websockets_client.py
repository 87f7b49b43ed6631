"""The reactions of Python's websockets: its blocking client, its asyncio client, and the `async for` of the latter,
which reconnects. The arguments are which one, the server's URL and the file of cases; what comes of each is a line of
JSON on standard output."""

import asyncio
import json
import logging
import sys
import time

import websockets
from websockets.asyncio import client as asyncio_client
from websockets.sync import client as sync_client

KIND, URL, CASES = sys.argv[1], sys.argv[2], json.load(open(sys.argv[3], encoding="utf-8"))
# How many tries of the reconnecting client are looked at.
TRIES = 2
# Seconds. What takes longer than the clients' own ten is to be seen to.
TIMEOUT = 60


def url(case):
    return URL.replace("://", "://" + case.get("userinfo", "")) + case["path"]


def told(error):
    """What an error says, and what it shows of the answer."""
    says = f"{type(error).__name__}: {error}"
    if error.__cause__ is not None:
        says += f" (by {type(error.__cause__).__name__}: {error.__cause__})"
    result = {"connected": False, "says": says}
    if answer := getattr(error, "response", None):
        result["seen"] = {
            "status": answer.status_code,
            "headers": "Retry-After" in answer.headers,
            "body": bool(answer.body),
        }
    return result


def patience(case):
    """For the opening handshake: its own ten seconds where these are what is looked at."""
    return 10 if "every=200" in case["path"] else TIMEOUT


def blocking(case):
    try:
        with sync_client.connect(url(case), subprotocols=case.get("offers"), proxy=None, open_timeout=patience(case)) as client:
            client.send("hello")
            return {"connected": True, "echo": client.recv(timeout=TIMEOUT) == case.get("first", "hello")}
    except (OSError, websockets.WebSocketException) as error:
        return told(error)


async def asynchronous(case):
    try:
        async with asyncio_client.connect(url(case), subprotocols=case.get("offers"), proxy=None, open_timeout=patience(case)) as client:
            await client.send("hello")
            answer = await asyncio.wait_for(client.recv(), TIMEOUT)
            return {"connected": True, "echo": answer == case.get("first", "hello")}
    except (OSError, websockets.WebSocketException) as error:
        return told(error)


async def reconnecting(case):
    """Whether it tries once more by itself, and after how long. How it decides is the library's own, called
    through this; so the first tries are seen without a wait for the last."""
    errors, times = [], []

    def decide(error):
        errors.append(error)
        times.append(time.monotonic())
        if len(errors) == TRIES:
            return error
        return asyncio_client.process_exception(error)

    connecting = asyncio_client.connect(
        url(case), subprotocols=case.get("offers"), proxy=None, open_timeout=patience(case), process_exception=decide
    )
    try:
        async for client in connecting:
            await client.send("hello")
            await client.recv()
            return {"connected": True}
    except (OSError, websockets.WebSocketException):
        pass
    result = {"retries": len(errors) == TRIES}
    if result["retries"]:
        result["waited"] = times[1] - times[0]
    return result


# What it logs is in the errors too.
logging.getLogger("websockets").setLevel(logging.CRITICAL)
print(json.dumps({"version": websockets.__version__}), flush=True)
for case in CASES:
    start = time.monotonic()
    if KIND == "sync":
        result = blocking(case)
    else:
        result = asyncio.run((asynchronous if KIND == "asyncio" else reconnecting)(case))
    print(json.dumps({"case": case["name"], "seconds": time.monotonic() - start, **result}), flush=True)
