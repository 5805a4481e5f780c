"""Datasets: from annotations, folders or paths to examples, and which videos a path means."""

import csv
import io
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from utils.data.examples import (
    SPLITS,
    Example,
    find_alike,
    find_repeats,
    find_split,
    labels_of,
)
from utils.data.splits import FOLDER_PATTERN, find_groups
from utils.features.store import READERS, leave_records
from utils.rendering.samples import SAMPLES
from utils.system.files import explain_missing, name_damaged
from utils.system.tables import is_text, read_text
from utils.system.words import list_some
from utils.video.image_folders import is_image_folder, scan_folder
from utils.video.listing import describe_others, list_tree

_DELIMITERS = ",;\t|"
_LISTED = re.compile(r"\s*(.+?)(?:\s+\d+)?\s*")  # a line of UCF101's: a path, perhaps a class


def _refuse_few(data_path, classes, hint="Expected one folder per class with its videos inside."):
    raise ValueError(
        f"data_path {data_path}: found {len(classes)} class(es) {sorted(classes)}; training "
        f"needs two or more. {hint}"
    )


def _find_split_folders(path, nested):
    """Return {folder: split} of the folders of the data that are splits; {}: all are classes.

    Args:
        path: the data.
        nested: {folder in it: whether its videos lie deeper, as in classes}.

    Raises:
        ValueError: splits without classes.
    """
    known = {name: find_split(name) for name in nested if find_split(name) in SPLITS}
    rest = [name for name in nested if name not in known]
    several = len(set(known.values())) > 1
    if any(nested[name] for name in known) and (several or not any(map(nested.get, rest))):
        return dict(sorted(known.items(), key=lambda row: SPLITS.index(row[1])))
    if known and not rest:
        raise ValueError(
            f"data_path {path}: {list_some(known)}: named like splits, but without class folders, "
            "so that nothing tells the labels. Expected split/class/video, or a .csv "
            "(path,label,split)."
        )
    if known:
        print(f"{path}: {list_some(known)}: read as a class, as what lies beside it is no split")
    return {}


def _explain_folders(path, parts, splits, loose):
    """Print what is left out of class folders, and which folders are read as splits.

    Args:
        path: the data.
        parts: of the videos' paths below it, tuples.
        splits: {folder: split}.
        loose: names of the videos that are in no class folder.
    """
    held = Counter(each[0] for each in parts)
    if splits:
        shown = [f"{name} ({split}) {held[name]} videos" for name, split in splits.items()]
        print(f"{path}: splits are {list_some(shown)}")
    folders = [folder.name for folder in scan_folder(path)[1]]
    for what, names in (
        ("not used, beside the splits", [name for name in held if splits and name not in splits]),
        ("no video in", [name for name in folders if name not in held]),
        ("in no class folder, left out", loose),
    ):
        if names:
            print(f"{path}: {what}: {list_some(names)}")


def list_folders(path, root=""):
    """List `path/class/video`, or `path/split/class/video`, by the names of `find_split`.

    What is left out is printed, and how folders that are named like splits are read. Where there
    is no video, files of features count. `root` is not used.

    Raises:
        ValueError: videos without class folders, or all in one.
    """
    tree = list_tree(path)
    features = [each for each in tree.others if each.suffix.lower() in READERS]
    parts = {each: each.relative_to(path).parts for each in tree.videos or features}
    nested = {}
    for each in parts.values():
        if len(each) > 1:
            nested[each[0]] = nested.get(each[0], False) or len(each) > 2
    splits = _find_split_folders(path, nested)
    place = 1 if splits else 0
    loose = ["/".join(each) or "." for each in parts.values() if len(each) < place + 2]
    examples = [
        Example(str(each), own[place], splits.get(own[0], ""))
        for each, own in parts.items()
        if len(own) > place + 1 and (not splits or own[0] in splits)
    ]
    examples.sort(key=lambda example: ("", *SPLITS).index(example.split))
    classes = labels_of(examples)
    only = next(iter(nested), "")
    if len(nested) == 1 and nested[only] and not splits:
        deeper = path / only
        _refuse_few(path, classes, f"If they are in {deeper}, give that: --data-path {deeper}.")
    if loose and len(classes) < 2:
        _refuse_few(
            path,
            classes,
            f"{len(loose)} videos, such as {loose[0]}, lie in no class folder: put each class's in "
            "a folder of its own (class/video), or give a .csv (path,label).",
        )
    _explain_folders(path, parts.values(), splits, loose)
    if tree.videos and (others := describe_others([o for o in tree.others if o.parent != path])):
        print(f"{path}: {others}")
    return examples


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
            f"{path}: the first line is {first!r}; it must be path,label[,split], and each line "
            "after it name a video's file, its label and perhaps its split."
        )
    if max(Counter(filter(None, header)).values()) > 1:
        raise ValueError(f"{path}: the first line is {header}; a column is there twice.")
    for row in reader:
        cells = [cell.strip() for cell in row]
        if any(cells[len(header) :]):
            raise ValueError(
                f"{path}, line {reader.line_num}: {row}; {len(cells)} cells, but {len(header)} "
                'columns. Several labels are written "run;jump", commas in a name between quotes.'
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
                    f"{path}, line {number}: {row}; path and label must be there, split empty, "
                    "train, val or test."
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


def list_sample(path, root=""):
    """List a built-in sample, a key of `SAMPLES`, rendered on first use. `root` is not used."""
    folder, render, labels = SAMPLES[str(path)]
    render(Path("data", folder))
    return [replace(e, label=labels[e.label]) for e in list_folders(Path("data", folder))]


# Dataset: (whether a data path is one, its list).
DATASETS = {
    "sample": (lambda path: str(path) in SAMPLES, list_sample),
    "csv": (lambda path: path.suffix.lower() == ".csv" and path.is_file(), list_csv),
    "ucf101": (lambda path: re.match(r"trainlist.*\.txt$", path.name), list_ucf101),
    "folders": (Path.is_dir, list_folders),
}


def _check_repeats(data_path, examples):
    """Refuse a video that is listed with several labels or splits; print which are listed twice."""
    repeats = find_repeats(examples)
    wrong = [f"{name} is {each.text}" for name, each in repeats.items() if each.contradicts]
    if wrong:
        raise ValueError(
            f"data_path {data_path}: {list_some(wrong, 3)}. Give each video one row: one split, "
            "and several labels as run;jump."
        )
    for name, each in list(repeats.items())[:20]:
        print(f"  problem: {name}: {each.text}")


def _warn_of_labels(classes):
    """Print which labels look like one but are several, and which are no text."""
    for names in find_alike(classes):
        shown = " and ".join(map(ascii, names))
        print(f"  problem: labels {shown} differ only in case or in how letters are composed: they "
              "are different classes")  # fmt: skip
    if broken := [label for label in sorted(classes) if not is_text(label)]:
        print(f"  problem: labels that are not UTF-8: {list_some(broken)}")


def _hint_at_folders(examples, path):
    """Print how recordings that have a folder each are kept together, where names cannot tell."""
    lying = {}
    for example in examples:
        folder, name = os.path.split(example.path)
        folder = os.path.basename(folder)
        if example.group == os.path.splitext(name)[0] and folder not in example.labels:
            lying.setdefault(example.group, set()).add(folder)
    same = next((name for name, folders in lying.items() if len(folders) > 1), None)
    if same:
        print(
            f"{path}: videos of one name ({same}) are kept together, whatever folder they are in; "
            f"where a folder is a recording, give --group-pattern '{FOLDER_PATTERN}'"
        )


def list_examples(data_path, root="", group_pattern=""):
    """List the videos of a dataset; what is odd about the list is printed.

    Args:
        data_path: a key of `SAMPLES`, a folder, a `.csv` or a UCF101 `trainlistNN.txt`.
        root: where the paths in a list begin; "" for beside it.
        group_pattern: regular expression on the file name, or where no name has it on the path
            below the data; "" for `GROUP_PATTERNS`.

    Returns:
        A list of `Example`, in a fixed order.

    Raises:
        ValueError: no such data, no class folders, fewer than two classes, a malformed list, or a
            video that is listed with several labels or splits.
    """
    path = Path(data_path)
    listed = next((row for is_one, row in DATASETS.values() if is_one(path)), None)
    if listed is None:
        raise ValueError(
            f"data_path {data_path}: {explain_missing(data_path)}. Give class folders (class/video."
            f"avi), a .csv (path,label[,split]), a UCF101 trainlistNN.txt, or {', '.join(SAMPLES)}."
        )
    try:
        re.compile(group_pattern)
    except re.error as error:
        raise ValueError(f"group_pattern {group_pattern!r} is no regex: {error}.") from error
    examples = listed(path, root)
    own = set(leave_records([example.path for example in examples]))
    examples = [example for example in examples if example.path in own]
    classes = labels_of(examples)
    if len(classes) < 2:
        _refuse_few(data_path, classes)
    _check_repeats(data_path, examples)
    _warn_of_labels(classes)
    below = path if path.is_dir() else Path(root) if root else path.parent
    groups = find_groups([example.path for example in examples], group_pattern, below)
    examples = [replace(e, group=group) for e, group in zip(examples, groups, strict=True)]
    if not group_pattern and not any(example.split for example in examples):
        _hint_at_folders(examples, data_path)
    return examples


class Found(NamedTuple):
    """The videos that a path means.

    Attributes:
        videos: their paths, each once.
        folder: that they are below.
        others: paths of files beside them that are no videos.
        repeats: of `utils.data.examples.find_repeats`.
    """

    videos: list
    folder: Path
    others: list
    repeats: dict


def list_paths(data, root=""):
    """Return what a path means, as `Found`.

    Args:
        data: any tree of videos (a folder of numbered images is a video), one video, or what
            training.py's --data-path takes.
        root: where the paths in a .csv or UCF101 list begin; "" for beside it.

    Raises:
        ValueError: no such data, a malformed list, or no video in a folder.
    """
    path = Path(data)
    if path.is_dir() and not is_image_folder(path):
        tree = list_tree(path)
        if not tree.videos:
            raise ValueError(f"data {data}: no video below it ({len(tree.others)} files).")
        return Found(list(map(str, tree.videos)), path, tree.others, {})
    lists = [row for name, row in DATASETS.items() if name != "folders"]
    listed = next((listed for is_one, listed in lists if is_one(path)), None)
    if listed is None and path.exists():
        return Found([str(path)], path.parent, [], {})
    examples = listed(path, root) if listed else list_examples(data)
    videos = list(dict.fromkeys(example.path for example in examples))
    if not videos:
        raise ValueError(f"data {data}: it lists no video.")
    parents = {str(Path(video).parent) for video in videos}
    common = os.path.commonpath([str(Path(parent).resolve()) for parent in parents])
    return Found(videos, Path(common), [], find_repeats(examples))
