"""Fill the tables of README and docs from figures: python -m scripts.benchmarks.write_tables.

A page says `<!-- table: NAME -->` and `<!-- end -->`; what stands between is written here, by the
row NAME of `scripts.benchmarks.tables.TABLES`, from docs/figures/*.json. Below a table stand the
command, the machine, its load, the date and the commit that its figures are of.
"""

import json
import math
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from scripts.benchmarks.tables import LISTS, TABLES
from utils.command_line import Command
from utils.system.commands import ROOT, IncompleteError, run_command
from utils.system.figures import read_figures
from utils.system.files import write_atomically
from utils.system.words import print_line

PAGES = ("README.md", "docs/*.md", "weights/README.md")
_DIGITS = 3  # of a number of which no spread is known
_BEGIN, _END = re.compile(r"<!-- table: (\S+) -->\n"), "<!-- end -->"
_FIELD = re.compile(r"\{([^{}:]+):?([^{}]*)\}")


def write_number(value, spread=None, digits=_DIGITS):
    """Return a number with the digits that its spread allows: at least one, at most `digits`.

    Digits before the point all stay.

    Args:
        value: the number.
        spread: its standard deviation or half its range; None or 0 where none is known.
        digits: significant ones.
    """
    first = -math.floor(math.log10(abs(value))) if value else 0
    places = first + digits - 1
    if spread:
        places = min(places, max(first, -math.floor(math.log10(spread))))
    return f"{value:.{max(0, places)}f}"


def _write_value(value, form, spread, carried):
    """Return a value as text: what is typed stays, numbers get their digits, lists commas."""
    if isinstance(value, list | tuple):
        return ", ".join(_write_value(each, form, spread, carried) for each in value)
    if isinstance(value, str):
        return value.replace("|", r"\|")
    if form:
        return format(value, form)
    return str(value) if carried or isinstance(value, int) else write_number(value, spread)


def write_cell(template, row, where, carried=False):
    """Return a cell: a template with a row's values.

    It is empty where one of them is None. Where one is missing because the measurement failed, it
    is the row's `failure`.

    Args:
        template: such as "{mean:.3f} of {videos}", the part behind the colon as for `format`.
            Without one a number has the digits that the row's `<key>_spread` allows.
        row: {key: value}.
        where: what the row is of, for errors.
        carried: whether numbers stand as somebody typed them.

    Raises:
        ValueError: the row has no such key, or its value cannot be written so.
    """
    cell, values = template, []
    for key, form in _FIELD.findall(template):
        if key not in row and "failure" in row:
            return _write_value(row["failure"], "", None, carried)
        if key not in row:
            raise ValueError(f"{where}: no {key!r} in {json.dumps(row)[:200]}.")
        values.append(row[key])
        if row[key] is not None:
            try:
                text = _write_value(row[key], form, row.get(f"{key}_spread"), carried)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{where}: {key} is {row[key]!r}: {error}.") from error
            cell = cell.replace(f"{{{key}:{form}}}" if form else f"{{{key}}}", text)
    return "" if None in values else cell.strip()


def spread_across(rows, across, keys):
    """Return rows side by side: those that agree in `keys` become one.

    Args:
        rows: list of dicts.
        across: (template of a name, key): under the name that the template gives for a row stands
            its value of `key`, or where there is none, why, its `failure`.
        keys: of what rows are told apart by.
    """
    template, key = across
    names, joined = [write_cell(template, row, "across") for row in rows], {}
    for name, row in zip(names, rows, strict=True):
        same = {each: row.get(each) for each in keys}
        whole = joined.setdefault(json.dumps(same), dict.fromkeys(names) | same)
        whole[name] = row.get(key, row.get("failure"))
        whole[f"{name}_spread"] = row.get(f"{key}_spread")
    return list(joined.values())


def add_up(rows, key):
    """Return a row for each value of a key: the sums of the whole numbers of its rows."""
    sums = {}
    for row in rows:
        found = sums.setdefault(row[key], {key: row[key]})
        for name, count in row.items():
            if isinstance(count, int):
                found[name] = found.get(name, 0) + count
    return list(sums.values())


class Source:
    """The figures in a folder, each file read once."""

    def __init__(self, folder):
        self.folder, self.found = Path(folder), {}

    def path(self, name):
        """Return where figures of a name lie."""
        return self.folder / f"{name}.json"

    def read(self, name):
        """Return a file of figures, or rows of `LISTS`, as a dict with `rows`."""
        if name not in self.found:
            listed = LISTS.get(name)
            self.found[name] = {"rows": listed()} if listed else read_figures(self.path(name))
        return self.found[name]


def _write_part(part, source, name):
    """Yield the lines of a part of a table."""
    whole, where = source.read(part.figures), f"Table {name}, figures {part.figures}"
    known = {key for row in whole["rows"] for key in row}
    if lost := [key for key in part.where if key not in known]:
        raise ValueError(f"{where}: no row has {', '.join(lost)}.")
    rows = [row for row in whole["rows"] if all(row.get(k) == v for k, v in part.where.items())]
    if part.across:
        rows = spread_across(rows, part.across, part.keys)
    if part.total:
        rows = add_up(rows, part.total)
    if not rows:
        raise ValueError(f"{where}: no rows where {part.where}.")
    carried = "carried_over" in whole
    for row in rows:
        cells = (write_cell(template, row, where, carried) for template in part.cells)
        yield f"| {' | '.join(cells)} |"


def _name_machine(machine):
    words = [machine.get("device"), f"{machine['cpus']} cores", machine.get("processor")]
    words += machine.get("features", [])
    words.append(f"{machine['memory_gib']} GiB" if "memory_gib" in machine else "")
    return " ".join(filter(None, words))


def _write_load(load):
    return f"load {' to '.join(str(each[0]) for each in load.values() if each)}"


def write_origin(found, link):
    """Return a line that says where figures come from: command, machine, load, date, commit.

    Args:
        found: from `read_figures`.
        link: to the file.
    """
    words = [f"`{found['command']}`" if found["command"] else "", found.get("measured")]
    if "measured" not in found:
        words += [
            _name_machine(found["machine"]),
            _write_load(found["load"]),
        ]
    words += [found["date"], f"commit {found['commit']}" if found["commit"] else ""]
    words += [found.get("carried_over"), f"[figures]({link})"]
    return f"> {' · '.join(filter(None, words))}"


def write_table(name, source, page):
    """Return a table as Markdown, with a line on where its figures come from.

    Args:
        name: a key of `TABLES`.
        source: a `Source`.
        page: path of the page, from which links lead.

    Raises:
        ValueError: an unknown name, figures that are not there, or a row without a key.
    """
    if name not in TABLES:
        raise ValueError(f"{page}: unknown table {name!r}; known: {', '.join(TABLES)}.")
    table = TABLES[name]
    lines = [f"| {' | '.join(table.columns)} |", "|" + "---|" * len(table.columns)]
    for part in table.parts:
        lines += _write_part(part, source, name)
    if table.origin:
        lines += ["", f"> {table.origin}"]
    for figures in dict.fromkeys(part.figures for part in table.parts):
        if figures not in LISTS and not table.origin:
            link = Path(os.path.relpath(source.path(figures), page.parent)).as_posix()
            lines += ["", write_origin(source.read(figures), link)]
    return "\n".join([*lines, ""])


def fill_page(page, source):
    """Return (text of a page as it is, with its tables as they have to be).

    Args:
        page: path of a Markdown file.
        source: a `Source`.

    Raises:
        ValueError: as `write_table`, or a table without an end; the page is named.
    """
    text = page.read_text(encoding="utf-8")
    before, *pieces = _BEGIN.split(text)
    filled = [before]
    for name, rest in zip(pieces[::2], pieces[1::2], strict=True):
        _, end, after = rest.partition(_END)
        if not end:
            raise ValueError(f"{page}: the table {name} has no {_END}.")
        filled += [f"<!-- table: {name} -->\n", write_table(name, source, page), end, after]
    return text, "".join(filled)


@dataclass(frozen=True)
class Options:
    """What is written."""

    check: bool = False
    """Write nothing. The exit status is 1 if a page differs from its figures."""
    root: Path = ROOT
    """Folder with README.md, docs/ and docs/figures/."""


def write_tables(options):
    """Write the tables of all pages, or compare them.

    Args:
        options: `Options`.

    Returns:
        The pages that differed.

    Raises:
        ValueError: as `fill_page`.
        IncompleteError: with `check`, where a page differs.
    """
    source, changed = Source(options.root / "docs/figures"), []
    for page in [page for pattern in PAGES for page in sorted(options.root.glob(pattern))]:
        text, filled = fill_page(page, source)
        if filled != text:
            changed.append(page)
            if not options.check:
                write_atomically(page, filled)
            print_line(f"{page}: {'differs from its figures' if options.check else 'written'}")
    if options.check and changed:
        raise IncompleteError(
            f"{len(changed)} pages differ: run python -m scripts.benchmarks.write_tables."
        )
    return changed


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: write_tables(COMMAND.parse()))
