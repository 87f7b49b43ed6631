"""What the clients are confronted with, in the order of the document, and what the RFCs want of them.

A fault's `right` is what a client must do: "fails", "connects", or "may" do either."""

FAULTS = [
    # path, rule, right, and what else a client has to know
    ("wrong-accept", "§4.1 (4)", "fails", {}),
    ("no-accept", "§4.1 (4)", "fails", {}),
    ("two-accepts", "§11.3.3", "fails", {}),
    ("extension", "§4.1 (5)", "fails", {}),
    ("subprotocol", "§4.1 (6)", "fails", {}),
    ("subprotocol", "§4.1 (6)", "fails", {"offers": ["chat"]}),
    ("no-upgrade", "§4.1 (2)", "fails", {}),
    ("no-connection", "§4.1 (3)", "fails", {}),
    ("http10", "RFC 9110 §15.2", "may", {}),
    ("lower-case", "§4.1 (2, 3)", "connects", {}),
    ("upper-case", "§4.1 (2, 3)", "connects", {}),
    ("whitespace", "RFC 9112 §5.1", "connects", {}),
    ("folded", "RFC 9112 §5.2", "may", {}),
    ("with-frame", "§4.1", "connects", {"first": "Hello"}),
    ("slow?every=30", "", "connects", {}),
    ("slow?every=200", "", "may", {}),
    ("huge", "", "may", {}),
    ("cut", "§4.1", "fails", {}),
    ("reset", "§4.1", "fails", {}),
]

STATUSES = [200, 204, 401, 403, 404, 429, 500, 503]
REDIRECTS = [301, 302, 303, 307, 308]

# Of another path than the status alone.
OTHERS = [
    ("/Close/1000", {}),
    ("/auth/basic/user/secret", {}),
    ("/auth/basic/user/secret", {"userinfo": "user:secret@"}),
    ("/auth/bearer/secret", {}),
    ("/auth/query?token=", {}),
    ("/auth/cookie/name/secret", {}),
]

# How long the answer asks to wait, in seconds, where a client is looked at that tries again by itself. It is
# more than what that waits of its own accord.
RETRY_AFTER = 7
RETRIED = [
    *[f"/status/{code}" for code in (401, 403, 404)],
    *[f"/status/{code}?header=Retry-After:{RETRY_AFTER}" for code in (429, 500, 503)],
    *[f"/handshake/{kind}" for kind in ("wrong-accept", "cut", "reset")],
]


def name(path, more):
    """What the document calls it."""
    if "offers" in more:
        return f"`{path}`, offering `{', '.join(more['offers'])}`"
    if "userinfo" in more:
        return f"`{path}`, with `{more['userinfo']}` in the URL"
    return f"`{path}`"


def case(path, **more):
    return {"name": name(path, more), "path": path, **more}


def cases(address):
    """Of a server with this address, by groups."""
    return {
        "faults": [case(f"/handshake/{kind}", rule=rule, right=right, **more) for kind, rule, right, more in FAULTS],
        "redirects": [case(f"/status/{code}") for code in REDIRECTS]
        + [
            {
                **case(f"/status/302?header=Location:{scheme}://{address}/echo"),
                "name": f"`/status/302`, to `{scheme}://…`",
            }
            for scheme in ("ws", "http")
        ],
        "refusals": [case(f"/status/{code}") for code in STATUSES] + [case(path, **more) for path, more in OTHERS],
        "retried": [case(path) for path in RETRIED],
    }
