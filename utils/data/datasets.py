"""Datasets: from annotations, folders or paths to examples, and which videos a path means."""

import csv
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from utils.data.examples import SPLITS, Example, labels_of
from utils.data.splits import group_of
from utils.features.store import leave_records
from utils.rendering.samples import SAMPLES
from utils.system.files import explain_missing, name_damaged
from utils.video.image_folders import is_video, list_images, list_videos


def _visible(folder):
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _list_classes(folder, split=""):
    return [
        Example(str(path), label.name, split)
        for label in _visible(folder)
        if label.is_dir()
        for path in list_videos(label)
    ]


def list_folders(path, root=""):
    """List `path/class/video`, or `path/{train,val,test}/class/video`. `root` is not used."""
    splits = [split for split in SPLITS if (path / split).is_dir()]
    if "train" in splits:
        return [example for split in splits for example in _list_classes(path / split, split)]
    return _list_classes(path)


def _locate(name, roots):
    found = (root / name for root in roots if (root / name).exists())
    return str(next(found, roots[0] / name))


def list_csv(path, root=""):
    """List a CSV with the header `path,label[,split]`; paths begin at `root` or beside the file.

    A label may be several class names, separated by ";".

    Raises:
        ValueError: a missing column, an empty cell, or an unknown split; the line is named.
    """
    root = Path(root) if root else path.parent
    examples = []
    with name_damaged(path), open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        if not {"path", "label"} <= set(reader.fieldnames or ()):
            raise ValueError(
                f"{path}: the first line is {reader.fieldnames}; it must be path,label[,split]."
            )
        for row in reader:
            split = (row.get("split") or "").strip()
            name, label = ((row[key] or "").strip() for key in ("path", "label"))
            example = Example(_locate(name, [root]), label, split)
            if not name or not example.labels or (split and split not in SPLITS):
                raise ValueError(
                    f"{path}, line {reader.line_num}: {dict(row)}; path and label must be there, "
                    "split empty, train, val or test."
                )
            examples.append(example)
    return examples


def list_ucf101(path, root=""):
    """List UCF101's `trainlistNN.txt` as train and the `testlistNN.txt` beside it as test.

    Videos are looked for under `root`, or in the list's folder, its parent and `UCF-101` there.
    """
    parents = [path.parent, path.parent.parent]
    roots = [Path(root)] if root else [*parents, *(parent / "UCF-101" for parent in parents)]
    lists = {"train": path, "test": path.with_name(path.name.replace("train", "test"))}
    return [
        Example(_locate(line.split()[0], roots), line.split("/")[0], split)
        for split, file in lists.items()
        if file.is_file()
        for line in file.read_text().splitlines()
        if line.strip()
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


def list_examples(data_path, root="", group_pattern=""):
    """List the videos of a dataset.

    Args:
        data_path: a key of `SAMPLES`, a folder, a `.csv` or a UCF101 `trainlistNN.txt`.
        root: where the paths in a list begin; "" for beside it.
        group_pattern: regular expression on the file name; "" for `GROUP_PATTERNS`.

    Returns:
        A list of `Example`, in a fixed order.

    Raises:
        ValueError: no such data, no class folders, fewer than two classes, or a malformed list.
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
        raise ValueError(
            f"data_path {data_path}: found {len(classes)} class(es) {sorted(classes)}; training "
            "needs two or more. Expected one folder per class with its videos inside."
        )
    return [replace(example, group=group_of(example.path, group_pattern)) for example in examples]


def list_paths(data, root=""):
    """List the videos that a path means.

    Args:
        data: any tree of videos (a folder of numbered images is a video; other files count by
            their names), one video, or what training.py's --data-path takes.
        root: where the paths in a .csv or UCF101 list begin; "" for beside it.

    Returns:
        ([path], each once; the folder that they are below; {suffix: how many other files}).

    Raises:
        ValueError: no such data, a malformed list, or no video in a folder.
    """
    path = Path(data)
    if path.is_dir() and not list_images(path):
        found = list(list_videos(path))
        videos = list(filter(is_video, found))
        if not videos:
            raise ValueError(f"data {data}: no video below it ({len(found)} files).")
        others = Counter(p.suffix.lower() or p.name for p in set(found) - set(videos))
        return [str(video) for video in videos], path, dict(others)
    lists = [row for name, row in DATASETS.items() if name != "folders"]
    listed = next((listed for is_one, listed in lists if is_one(path)), None)
    if listed is None and path.exists():
        return [str(path)], path.parent, {}
    examples = listed(path, root) if listed else list_examples(data)
    videos = list(dict.fromkeys(example.path for example in examples))
    if not videos:
        raise ValueError(f"data {data}: it lists no video.")
    parents = [str(Path(video).resolve().parent) for video in videos]
    return videos, Path(os.path.commonpath(parents)), {}
