"""What a document says that can be tried: its commands, and the output that it shows for them.

A command is a fenced block of `sh` as a whole, for it is pasted as a whole, or code in a line whose first
word, after variables, is a program or a file of ours that can be run. A block of `text` right behind a
block of `sh` is what it prints.
"""

import os
import re
from dataclasses import dataclass

from machine import REPO

PROGRAMS = """apt-get barews benches/compare cargo cat chroot cp curl docker echo install journalctl kill man mkdir
nginx printf promtool python3 rustup sysctl systemctl systemd-analyze ulimit umask websocat set""".split()
# Of these, ones that sentences start with.
WORDS = ("cat", "echo", "install", "kill", "man", "set")
VARIABLE = re.compile(r"[A-Z_]+=(\"[^\"]*\"|'[^']*'|\S)*\s+")


@dataclass
class Command:
    document: str
    text: str
    output: str | None = None

    def __str__(self):
        return f"{self.document}: {self.text.splitlines()[0]}"


def fences(text):
    """(language, content, what stands between this block and the next) of each fenced block."""
    found = list(re.finditer(r"^```([a-z,_]*)\n(.*?)^```\n", text, re.S | re.M))
    for block, following in zip(found, [*found[1:], None]):
        between = text[block.end(): following.start()] if following else ""
        yield block[1], block[2], between, following


def commands(document, text):
    for language, content, between, following in fences(text):
        if language != "sh":
            continue
        shows = following and following[1] == "text" and "\n#" not in between and between.count("\n\n") < 2
        yield Command(document, content, following[2] if shows else None)
    for code in inline(text):
        if is_command(code):
            yield Command(document, code)


def without_fences(text):
    return re.sub(r"^```.*?^```\n", "", text, flags=re.S | re.M)


def inline(text):
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", without_fences(text))]


def is_command(code):
    words = VARIABLE.sub("", code + " ").split()
    if not words:
        return False
    path = REPO / words[0]
    if "/" in words[0] and not words[0].startswith(("/", "target/")) and path.is_file() and os.access(path, os.X_OK):
        return True
    return words[0] in PROGRAMS and len(words) > 1


def help_commands(document, text):
    """The commands of `--help` and of the manual: columns of lines that are set in, two spaces apart."""
    for line in text.splitlines():
        for column in re.split(r"\s{2,}", line.strip()) if line.startswith("  ") else []:
            if is_command(column) and column.split()[0] not in WORDS:
                yield Command(document, column)


def matches(shown, printed):
    """Whether this was printed. `…` stands for anything in a line, and for any lines if it has one to itself.

    Lines on two connections may come in either order.
    """
    printed = printed.replace("\r\n", "\n").rstrip("\n").split("\n")
    patterns = [".*".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ \t]*"
                for line in shown.rstrip("\n").split("\n")]
    anything = ".*[ \\t]*"
    left = list(printed)
    for pattern in patterns:
        if pattern != anything:
            found = next((line for line in left if re.fullmatch(pattern, line)), None)
            if found is None:
                return False
            left.remove(found)
    return anything in patterns or not left
