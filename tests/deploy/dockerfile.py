"""Reads a Dockerfile: as much of its language as ours uses, and refuses the rest.

A stage is its base, its name, and its instructions in their order. Lines that end with a backslash go on, and
comments between them are none of it, as Docker has it.
"""

import json
import re
import shlex
from dataclasses import dataclass, field

KNOWN = {"WORKDIR", "RUN", "COPY", "ENV", "LABEL", "USER", "EXPOSE", "ENTRYPOINT", "HEALTHCHECK"}


@dataclass
class Stage:
    base: str
    name: str
    steps: list = field(default_factory=list)

    def all(self, instruction):
        return [rest for word, rest in self.steps if word == instruction]

    def one(self, instruction):
        [rest] = self.all(instruction)
        return rest

    def pairs(self, instruction):
        """The `name=value`s of LABEL or ENV."""
        return dict(pair.split("=", 1) for rest in self.all(instruction) for pair in shlex.split(rest))

    def health(self):
        """HEALTHCHECK's command, and its options in seconds."""
        options, command = self.one("HEALTHCHECK").split("CMD ", 1)
        return json.loads(command), {name: int(s) for name, s in re.findall(r"--([a-z-]+)=(\d+)s", options)}


def stages(path):
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if line.strip() and not line.startswith("#")]
    found = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, rest = line.split(None, 1)
        if word == "FROM":
            base, *name = rest.split(" AS ")
            found.append(Stage(base, *name or [""]))
        elif word in KNOWN:
            found[-1].steps.append((word, rest))
        else:
            raise ValueError(f"no {word} is known here: {line}")
    return found
