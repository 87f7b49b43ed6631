"""Python's websockets on every path of /paths.json, by the cases of paths.json beside this file; what they mean
stands in paths.mjs, which reads them too. The argument is the server's URL."""

import json
import re
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

URL = sys.argv[1]
HTTP = URL.replace("ws://", "http://")
TIMEOUT = 120
# In which nothing may come, in seconds.
SILENCE = 0.3


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def get(path, headers={}):
    """The status and the body that plain HTTP gets."""
    request = urllib.request.Request(HTTP + path, headers=headers)
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=TIMEOUT) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


def opening(path, case):
    return connect(
        URL + path,
        subprotocols=case.get("offers"),
        additional_headers=case.get("headers"),
        max_size=None,
        proxy=None,
        open_timeout=TIMEOUT,
        close_timeout=TIMEOUT,
        # Else what is not taken out keeps it from the answer to its Close.
        max_queue=None,
    )


def got(case):
    status, body = get(case["get"])
    assert status == case["status"] and case.get("says", "") in body, (status, body)


def refused(case):
    try:
        with opening(case["path"], case):
            raise AssertionError("it opens")
    except InvalidStatus as error:
        answer = error.response
    body = answer.body.decode()
    assert answer.status_code == case["refused"] and case.get("says", "") in body, (answer, body)
    if header := case.get("header"):
        assert answer.headers[header[0]] == header[1], answer.headers
    if "offers" not in case:
        status, body = get(case["path"], case.get("headers", {}))
        assert status == case["refused"] and case.get("says", "") in body, (status, body)


def send(client, message):
    if isinstance(message, str):
        client.send(message)
    elif "bytes" in message:
        client.send(bytes(message["bytes"]))
    else:
        # The last one is empty here: it is what websockets ends such a message with.
        *parts, last = message["fragments"]
        assert last == ""
        client.send(iter(parts))


def receive(client, expected):
    message = client.recv(timeout=TIMEOUT)
    if isinstance(expected, str):
        assert message == expected, (message, expected)
    elif "like" in expected:
        assert re.search(expected["like"], message), message
    else:
        assert isinstance(message, bytes) and len(message) == expected["bytes"], message


def is_silent(client):
    try:
        message = client.recv(timeout=SILENCE)
    except TimeoutError:
        return True
    raise AssertionError(f"there is {message!r}")


def end(client, case):
    if {"closed", "lost", "violation"} & case.keys():
        try:
            raise AssertionError(f"there is {client.recv(timeout=TIMEOUT)!r}")
        except ConnectionClosed as closed:
            if "closed" in case:
                assert closed.rcvd and closed.rcvd.code == case["closed"], closed
                assert closed.rcvd.reason == case.get("reason", closed.rcvd.reason), closed
            elif "violation" in case:
                assert closed.sent and closed.sent.code == case["violation"], closed
            else:
                assert closed.rcvd is None, closed
                is_reset = isinstance(closed.__cause__, ConnectionResetError)
                assert is_reset == (case["lost"] == "reset"), repr(closed.__cause__)
        return
    if "silent" in case:
        is_silent(client)
    if "abandon" in case:
        client.socket.close()
        return
    if "unanswered" in case:
        client.close_timeout = SILENCE
        client.close(4321)
        assert client.protocol.close_rcvd is None, "the Close is answered"
        return
    client.close(4321)
    assert client.close_code == 4321, client.close_code


def opened(case):
    start = time.monotonic()
    with ExitStack() as clients:
        try:
            client = clients.enter_context(opening(case["path"], case))
        except (InvalidHandshake, InvalidMessage, OSError, EOFError):
            assert "fails" in case
            return
        assert "fails" not in case, "it opens"
        assert client.subprotocol == case.get("agreed"), client.subprotocol
        members = [client]
        if "other" in case:
            members.append(clients.enter_context(opening(case["other"], {})))
            # Who answers a Ping is in its room, which may be after it is open.
            for member in members:
                assert member.ping().wait(TIMEOUT)
        with suppress(ConnectionClosed):  # the end is looked at below
            for message in case.get("send", []):
                send(client, message)
        for expected in case.get("receive", []):
            for member in members:
                receive(member, expected)
        end(client, case)
    seconds = time.monotonic() - start
    least, most = case.get("seconds", (0, TIMEOUT))
    assert least <= seconds <= most, f"it took {seconds} s"


def run(case):
    """What is wrong with it, if anything."""
    try:
        (got if "get" in case else refused if "refused" in case else opened)(case)
    except Exception as error:
        return f"{json.dumps(case)[:200]}\n  {type(error).__name__}: {error}"[:1000]


def main():
    text = Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
    text = re.sub(r"\{(\d+) times (.*?)\}", lambda found: found[2] * int(found[1]), text)
    cases = json.loads(text)
    paths = {row["path"] for row in json.loads(get("/paths.json")[1])} - {"/cert.pem"}
    assert paths == cases.keys() - {"no path"}, paths ^ (cases.keys() - {"no path"})
    with ThreadPoolExecutor(16) as pool:
        wrong = list(filter(None, pool.map(run, [case for path in cases.values() for case in path])))
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"websockets: {len(paths)} paths, all as they should be")


main()
