#!/usr/bin/env python3
"""The cases of expected.txt: as a spec for wstest, and held against its report.

    compare.py spec [--deflate] URL [PATTERN...]               prints the spec
    compare.py check [--deflate] SECONDS REPORT [PATTERN...]   compares; 1 if anything differs

A pattern is a case id or a glob such as '7.*'; without any, every case counts. Those of
permessage-deflate are there with --deflate only.
"""

import json
import sys
from fnmatch import fnmatchcase
from pathlib import Path

AGENT = "barews"
GROUPS = [f"{n}.*" for n in range(1, 11)]
DEFLATE_GROUPS = ["12.*", "13.*"]  # there is no group 11


def by_number(case):
    return [int(part) for part in case.split(".")]


def matches(case, patterns):
    return any(fnmatchcase(case, pattern) for pattern in patterns)


def expected(deflate, patterns):
    """{case: (behavior, behaviorClose)} for the cases that a pattern matches."""
    lines = Path(__file__).with_name("expected.txt").read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    every = {
        case: (behavior, close)
        for case, behavior, close in rows
        if deflate or not matches(case, DEFLATE_GROUPS)
    }
    for pattern in patterns:
        if not any(fnmatchcase(case, pattern) for case in every):
            sys.exit(f"autobahn: no case matches {pattern}{'' if deflate else ' without --deflate'}")
    return {
        case: verdict
        for case, verdict in every.items()
        if not patterns or matches(case, patterns)
    }


def spec(deflate, url, patterns):
    # A full run asks for whole groups, so that the suite, not expected.txt,
    # decides what is in them: a case missing from the file then shows as extra.
    groups = GROUPS + DEFLATE_GROUPS if deflate else GROUPS
    cases = list(expected(deflate, patterns)) if patterns else groups
    return {
        "outdir": ".",
        "servers": [{"agent": AGENT, "url": url}],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }


def check(deflate, seconds, report, patterns):
    want = expected(deflate, patterns)
    try:
        results = json.loads(Path(report).read_text())[AGENT]
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"autobahn: no usable report in {report}: {error!r}")
    got = {case: (r["behavior"], r["behaviorClose"]) for case, r in results.items()}

    differing = []
    for case in sorted(want.keys() | got.keys(), key=by_number):
        if got.get(case) != want.get(case):
            differing.append(case)
            print(
                f"{case}: got {' / '.join(got.get(case, ['no result']))},"
                f" expected {' / '.join(want.get(case, ['no such case']))}"
            )

    verdicts = list(got.values())
    ok = verdicts.count(("OK", "OK"))
    informational = verdicts.count(("INFORMATIONAL", "INFORMATIONAL"))
    print(
        f"autobahn: {len(got)} cases: {ok} OK, {informational} INFORMATIONAL,"
        f" {len(got) - ok - informational} others, in {seconds} s"
    )
    Path(report).with_name("differing").write_text("".join(f"{case}\n" for case in differing))
    if differing:
        sys.exit(f"autobahn: differing: {len(differing)} (behavior / behaviorClose above)")


if __name__ == "__main__":
    command, args = sys.argv[1:2], sys.argv[2:]
    deflate = args[:1] == ["--deflate"]
    if deflate:
        args = args[1:]
    if command == ["spec"] and args:
        print(json.dumps(spec(deflate, args[0], args[1:]), indent=1))
    elif command == ["check"] and len(args) >= 2:
        check(deflate, args[0], args[1], args[2:])
    else:
        sys.exit(__doc__)
