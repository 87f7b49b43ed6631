"""Options, variables, metrics and paths that documents name are there; and the README has every path."""

import re

import extract
from machine import REPO

DOCUMENTS = ("README.md", "deploy/README.md", "deploy/scaling.md", "docs/compression.md")
# Options of programs that are not ours stand in commands of theirs, and these by themselves.
OTHERS = {"--env", "--features"}


def check(texts, paths):
    failures = []
    options = set(re.findall(r"(?m)^  (?:-[a-zA-Z], )?(--[a-z-]+)", texts["help"]))
    source = "\n".join(file.read_text() for file in (REPO / "src/bin/barews").rglob("*.rs"))
    for document in DOCUMENTS:
        text = texts[document]
        lines = extract.inline(text) + [line for language, block, *_ in extract.fences(text) if language == "sh"
                                        for line in block.splitlines()]
        ours = [line for line in lines if line.startswith(("--", "barews "))]
        named = {word for line in ours for word in re.findall(r"(?<!\S)--[a-z-]+", line)} - OTHERS
        named |= {"--" + name.lower().replace("_", "-") for name in re.findall(r"BAREWS_([A-Z_]+)\b", text)} - {"--some-flag"}
        failures += [f"{document}: there is no option {name}" for name in named - options - {"--help", "--man", "--version"}]
        metrics = set(re.findall(r"\bbarews_[a-z_]+[a-z]", text))
        failures += [f"{document}: there is no metric {name}" for name in metrics
                     if name not in source and name.removeprefix("barews_") not in source]
    # A path by itself or with its query, which may be shown in another way.
    bare = [row["path"].split("?")[0] for row in paths]
    failures += [f"README.md has no path {path}" for path in bare if path not in texts["README.md"]]
    return failures
