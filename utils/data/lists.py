"""Lists of videos and their labels: a CSV, UCF101's."""

import csv
import io
import re
from collections import Counter
from pathlib import Path, PurePosixPath

from utils.data.examples import SPLITS, Example, find_split
from utils.system.files import name_damaged
from utils.system.tables import read_cell, read_text

_DELIMITERS = ",;\t|"
_LISTED = re.compile(r"\s*(.+?)(?:\s+\d+)?\s*")  # a line of UCF101's: a path, perhaps a class


def _locate(name, roots):
    names = dict.fromkeys((name, name.replace("\\", "/")))  # Windows separates folders by \
    found = (path for root in roots for each in names if (path := root / each).exists())
    return str(next(found, roots[0] / name))


def _read_table(path):
    """Yield (number of a line, {column: cell}) of a CSV, whatever separates its cells.

    Raises:
        ValueError: no column path or label, a column twice, or more cells than columns.
    """
    text = read_text(path)
    rows = (
        csv.reader(io.StringIO(text, ""), delimiter=delimiter, skipinitialspace=True)
        for delimiter in _DELIMITERS
    )
    headers = [(each, [cell.strip().lower() for cell in next(each, ())]) for each in rows]
    known = (both for both in headers if {"path", "label"} <= set(both[1]))
    reader, header = next(known, headers[0])
    if not {"path", "label"} <= set(header):
        first = text.partition("\n")[0].strip()[:200]
        raise ValueError(
            f"{path}: the first line is {first!r}, but must be path,label[,split]. Each "
            "line after it names a video, its label and, if you like, its split."
        )
    if max(Counter(filter(None, header)).values()) > 1:
        raise ValueError(f"{path}: the first line is {header}; a column occurs twice.")
    for row in reader:
        cells = [read_cell(cell.strip()) for cell in row]
        if any(cells[len(header) :]):
            raise ValueError(
                f"{path}, line {reader.line_num}: {row}; the line has {len(cells)} cells, "
                f"but there are {len(header)} columns. Several labels are written "
                '"run;jump", and a name with commas is put in quotes.'
            )
        if any(cells):
            yield reader.line_num, dict(zip(header, cells, strict=False))


def list_csv(path, root=""):
    """List a CSV with the header `path,label[,split]`; paths begin at `root` or beside the file.

    A label may be several class names, separated by ";". Cells may be separated by commas,
    semicolons, tabs or bars; splits have the names of `find_split`.

    Raises:
        ValueError: a missing column, an empty cell or one too many, or an unknown split; the line
            is named.
    """
    root = Path(root) if root else path.parent
    examples = []
    with name_damaged(path):
        for number, row in _read_table(path):
            name, label = row["path"], row.get("label", "")
            split = find_split(row.get("split", ""))
            example = Example(_locate(name, [root]), label, split)
            if not name or not example.labels or (split and split not in SPLITS):
                raise ValueError(
                    f"{path}, line {number}: {row}; path and label must not be empty, and "
                    "split must be empty, train, val or test."
                )
            examples.append(example)
    return examples


def _read_listed(file):
    """Yield (path, label) of a list of UCF101's."""
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if line.strip():
            name = _LISTED.fullmatch(line)[1]
            folders = PurePosixPath(name.replace("\\", "/").lstrip("/")).parts[:-1]
            if not folders:
                raise ValueError(f"{file}, line {number}: {line!r}; expected class/video.avi.")
            yield name, folders[0]


def list_ucf101(path, root=""):
    """List UCF101's `trainlistNN.txt` as train and the `testlistNN.txt` beside it as test.

    Videos are looked for under `root`, or in the list's folder, its parent and `UCF-101` there.

    Raises:
        ValueError: a line that names no class's folder.
    """
    parents = [path.parent, path.parent.parent]
    roots = [Path(root)] if root else [*parents, *(parent / "UCF-101" for parent in parents)]
    lists = {"train": path, "test": path.with_name(path.name.replace("train", "test"))}
    with name_damaged(path):
        return [
            Example(_locate(name, roots), label, split)
            for split, file in lists.items()
            if file.is_file()
            for name, label in _read_listed(file)
        ]
