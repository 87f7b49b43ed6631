"""Runs the command that /paths.json has for each path, as it stands there, and compares what it prints with what
that says. The arguments are the address of a server, and that of one with a certificate that signs itself, for the
commands that want one. The programs are found by PATH."""

import json
import re
import subprocess
import sys
import urllib.request

ADDRESS, TLS_ADDRESS = sys.argv[1:]
TIMEOUT = 60

with urllib.request.urlopen(f"http://{ADDRESS}/paths.json") as answer:
    ROWS = json.load(answer)


def is_for_every_shell(command):
    """Whether nothing in it is for the shell that was meant for the server: zsh takes `?` for a pattern."""
    unquoted = re.sub(r"'[^']*'", "", command)
    return not re.search(r"://\S*[?&*\[]", unquoted)


def run(command):
    """What a command prints on a terminal."""
    address = TLS_ADDRESS if re.search(r"\b(https|wss)://", command) else ADDRESS
    assert "127.0.0.1:9001" in command, f"it is for no server of ours: {command}"
    command = command.replace("127.0.0.1:9001", address)
    done = subprocess.run(
        ["sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
        text=True,
    )
    return done.stdout.replace(address, "127.0.0.1:9001").rstrip("\n")


wrong = []
for row in ROWS:
    command, output = row["example"], row["output"]
    if not is_for_every_shell(command):
        wrong.append(f"{command}\n  has a sign that a shell takes for its own: quote the URL")
    try:
        printed = run(command)
    except subprocess.TimeoutExpired:
        wrong.append(f"{command}\n  does not end")
        continue
    # An ellipsis stands for anything within its line.
    pattern = ".*".join(map(re.escape, output.split("…")))
    if not output or not re.fullmatch(pattern, printed):
        wrong.append(f"{command}\n  prints {printed!r}\n  and not {output!r}")
for text in wrong:
    print(text, file=sys.stderr)
if wrong:
    sys.exit(f"{len(wrong)} of {len(ROWS)} commands do something else")
print(f"{len(ROWS)} commands: all print what /paths.json says")
