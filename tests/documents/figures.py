"""Where each figure of the README and of deploy/README.md comes from.

A claim is a phrase with braces in place of its figures, and what fills them. The phrase must be there as
it comes out, so that whoever changes a default, adds a test or measures anew is told what to write. What
is then left of numbers in a document has no source, and is named.
"""

import re

import extract
import sources

DOCUMENTS = ("README.md", "deploy/README.md")

# What has digits in it and is no figure: names, versions of protocols, sections, addresses, statuses.
NAMES = [
    r"\]\([^)]*\)", r"<http[^>]*>",  # links
    r"RFC \d+", r"§[\d.]+", r"§\d+", r"HTTP/[\d.]+", r"TLS 1\.2(?: and 1\.3)?", r"UTF-8", r"X-?\d+", r"CPython 2\.7", r"IPv[46]",
    r"127\.0\.0\.\d(?::\d+)?", r"0\.0\.0\.0", r"\blocalhost:\d+", r"`:\d+`", r"PORT=\d+",
    r"MIT or Apache 2\.0", r"JSON-RPC 2\.0", r"Linux \d+\.\d+", r"SHA-\d+", r"HTTP/2",
    r"65534(?:\(:65534\))?", r"`man[^`]*`", r"\b4xx\b",
]


def words(text):
    return " ".join(text.split())


def claims(machine):
    """(document, phrase, figures) of all."""
    yield from sources.tests()
    yield from sources.defaults()
    yield from sources.speed()
    yield from sources.measured(machine)


def check(texts, machine):
    failures = []
    sources.HELP["text"] = texts["help"]
    rest = {name: words(re.sub(r"^```.*?^```\n", " ", texts[name], flags=re.S | re.M)) for name in DOCUMENTS}
    count = 0
    for document, phrase, values in claims(machine):
        said = words(phrase.format(*values))
        count += 1
        if said in words(texts[document]):
            if document in rest:
                rest[document] = rest[document].replace(said, " ")
        else:
            failures.append(f"{document} does not say: {said}")
    codes = sources.codes()
    for document, text in rest.items():
        for code in extract.inline(texts[document]):
            if extract.is_command(code) or re.search(r"[A-Za-z_]{3}", code):
                text = text.replace(f"`{code}`", " ")
        for name in NAMES:
            text = re.sub(name, " ", text)
        for match in re.finditer(r"\d[\d,.]*", text):
            figure = match[0].rstrip(".,")
            if figure not in codes:
                around = text[max(0, match.start() - 60): match.end() + 40]
                failures.append(f"{document}: where does {figure} come from? …{around}…")
    print(f"documents: {count} phrases with figures")
    return failures
