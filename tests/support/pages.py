"""The pages of the documentation: their links, anchors and command lines."""

import itertools
import re
import shlex
from pathlib import Path

from support.commands import ROOT

PAGES = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "weights/README.md")
] + sorted(ROOT.glob("docs/*.md"))
_FENCE = re.compile(r"^( *)```[^\n]*\n(.*?)^\1```$", re.M | re.S)
_SPAN = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)


def read_prose(page):
    """Return the text of a page without its blocks of code."""
    return _FENCE.sub("", Path(page).read_text(encoding="utf-8"))


def list_links(page):
    """Return the targets of a page's links and pictures."""
    return _LINK.findall(_SPAN.sub("", read_prose(page)))


def list_anchors(page):
    """Return the anchors that GitHub gives a page's headings."""
    anchors = []
    for heading in _HEADING.findall(read_prose(page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        count = sum(
            each == name or re.fullmatch(f"{name}-\\d+", each) is not None for each in anchors
        )
        anchors.append(f"{name}-{count}" if count else name)
    return anchors


def list_code(page):
    """Return the lines of a page's blocks of code, and its pieces of code in the text."""
    text = Path(page).read_text(encoding="utf-8")
    blocks = [block.replace("\\\n", " ") for _, block in _FENCE.findall(text)]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return lines + [" ".join(span.split()) for _, span in _SPAN.findall(read_prose(page))]


def split_command(line):
    """Yield the words of each command in a line; one for each alternative of a|b.

    Left out are [what is optional], comments, ..., what a pipe leads to, and variables that are set
    before a command. A <place holder> becomes a word.
    """
    line = re.sub(r"<([^>]*)>", lambda place: place[1].replace(" ", "_"), line)
    line = re.sub(r"\[[^\]]*\]|(?<= )\.\.\.", "", line)
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # no command: a quotation mark is open
        return
    for joined, command in itertools.groupby(words, lambda word: word in ("&&", "|", ">", ";")):
        command = list(itertools.dropwhile(re.compile(r"[A-Z_0-9]+=").match, command))
        if not joined and command:
            yield from map(list, itertools.product(*(word.split("|") for word in command)))


def list_commands(page):
    """Return the command lines of Python on a page, each a list of words."""
    commands = [words for line in list_code(page) for words in split_command(line)]
    return [words for words in commands if words[0] == "python" and len(words) > 1]


def list_flags(page):
    """Return the flags that a page names alone, outside of commands."""
    pieces = [piece.split() for piece in list_code(page) if piece.startswith("--")]
    return {re.split(r"[=|,/]", word)[0] for piece in pieces for word in piece if word[:2] == "--"}
