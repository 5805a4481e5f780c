"""Datasets: from annotations, folders or paths to examples, and which videos a path means."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from utils.data.class_folders import list_folders, refuse_few
from utils.data.examples import find_alike, find_repeats, labels_of
from utils.data.lists import list_csv, list_ucf101
from utils.data.splits import FOLDER_PATTERN, find_groups
from utils.features.store import leave_records
from utils.places import DATA
from utils.rendering.samples import SAMPLES
from utils.system.files import explain_missing
from utils.system.tables import is_text
from utils.system.words import list_some, print_line
from utils.video.image_folders import is_image_folder
from utils.video.listing import list_tree


def list_sample(path, root=""):
    """List a built-in sample, a key of `SAMPLES`, rendered on first use. `root` is not used."""
    folder, render, labels = SAMPLES[str(path)]
    render(DATA / folder)
    return [replace(e, label=labels[e.label]) for e in list_folders(DATA / folder)]


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
        print_line(f"  problem: {name}: {each.text}")


def _warn_of_labels(classes):
    """Print which labels look like one but are several, and which are no text."""
    for names in find_alike(classes):
        shown = " and ".join(map(ascii, names))
        print_line(
            f"  problem: the labels {shown} differ only in case or accents, and are used "
            "as different classes"
        )
    if broken := [label for label in sorted(classes) if not is_text(label)]:
        print_line(f"  problem: these labels are not UTF-8: {list_some(broken)}")


def _hint_at_folders(examples, path):
    """Print how recordings that have a folder each are kept together, where names cannot tell."""
    lying = {}
    for example in examples:
        video = Path(example.path)
        folder = video.parent.name
        if example.group == video.stem and folder not in example.labels:
            lying.setdefault(example.group, set()).add(folder)
    same = next((name for name, folders in lying.items() if len(folders) > 1), None)
    if same:
        print_line(
            f"{path}: videos of the same name ({same}) in different folders are kept in "
            "one split. If each folder is a recording of its own, give --group-pattern "
            f"'{FOLDER_PATTERN}'"
        )


def refuse_run(path):
    """Raise a ValueError where a path is the folder of a run, in which there are no videos."""
    if Path(path, "params.json").is_file():
        raise ValueError(
            f"{path} is a run, not data. The videos that it was trained on are listed in "
            f"{Path(path, 'splits.csv')}, which you can give instead."
        )


def find_dataset(data_path):
    """Return the function that lists a dataset, a row of `DATASETS`.

    Raises:
        ValueError: no such data, or a run.
    """
    path = Path(data_path)
    refuse_run(path)
    listed = next((row for is_one, row in DATASETS.values() if is_one(path)), None)
    if listed is None:
        raise ValueError(
            f"data_path {data_path}: {explain_missing(data_path)}. Give class folders (class/video."
            f"avi), a .csv (path,label[,split]), a UCF101 trainlistNN.txt, or {', '.join(SAMPLES)}."
        )
    return listed


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
    path, listed = Path(data_path), find_dataset(data_path)
    try:
        re.compile(group_pattern)
    except re.error as error:
        raise ValueError(
            f"group_pattern {group_pattern!r} is not a regular expression: {error}."
        ) from error
    examples = listed(path, root)
    own = set(leave_records([example.path for example in examples]))
    examples = [example for example in examples if example.path in own]
    classes = labels_of(examples)
    if len(classes) < 2:
        refuse_few(data_path, classes)
    _check_repeats(data_path, examples)
    _warn_of_labels(classes)
    below = path if path.is_dir() else Path(root) if root else path.parent
    groups = find_groups([example.path for example in examples], group_pattern, below)
    examples = [replace(e, group=group) for e, group in zip(examples, groups, strict=True)]
    if not group_pattern and not any(example.split for example in examples):
        _hint_at_folders(examples, data_path)
    if group_pattern and all(each.group == Path(each.path).stem for each in examples):
        print_line(
            f"Note: group_pattern {group_pattern!r} matches none of the {len(examples)} videos, "
            f"such as {examples[0].path}. So each video is a group of its own."
        )
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
    refuse_run(path)
    if path.is_dir() and not is_image_folder(path):
        tree = list_tree(path)
        if not tree.videos:
            raise ValueError(
                f"data {data}: the folder contains no video, only {len(tree.others)} other files."
            )
        return Found(list(map(str, tree.videos)), path, tree.others, {})
    lists = [row for name, row in DATASETS.items() if name != "folders"]
    listed = next((listed for is_one, listed in lists if is_one(path)), None)
    if listed is None and path.exists():
        return Found([str(path)], path.parent, [], {})
    examples = listed(path, root) if listed else list_examples(data)
    videos = list(dict.fromkeys(example.path for example in examples))
    if not videos:
        raise ValueError(f"data {data}: the list contains no video.")
    parents = {str(Path(video).parent) for video in videos}
    common = os.path.commonpath(list(map(os.path.realpath, parents)))
    return Found(videos, Path(common), [], find_repeats(examples))
