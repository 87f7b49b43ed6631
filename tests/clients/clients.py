"""Has websocket-client offer subprotocols to the server at the URL given, which it takes for a failure if
none is agreed to."""

import sys

from websocket import WebSocketException, create_connection

URL = sys.argv[1]


def agreed(path, offers):
    """The subprotocol that was come to, after an echo; or "failed"."""
    try:
        client = create_connection(URL + path, subprotocols=offers, timeout=60)
    except WebSocketException:
        return "failed"
    client.send("hello")
    assert client.recv() == "hello"
    client.close()
    return client.subprotocol


for path, offers, expected in [
    ("/echo", ["chat", "superchat"], "chat"),
    ("/CP001", ["ocpp1.6"], "ocpp1.6"),
    ("/delay/10?subprotocol=superchat", ["chat", "superchat"], "superchat"),
    ("/echo?subprotocol=none", ["chat"], "failed"),
    ("/echo", [], None),
]:
    result = agreed(path, offers)
    assert result == expected, f"{path}: {result} and not {expected}"
print("websocket-client: all as it should be")
