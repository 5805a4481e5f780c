"""Datasets: from annotations to examples, and which of them train, validate and test."""

import csv
import re
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from utils.features.store import leave_records
from utils.rendering.samples import SAMPLES
from utils.system.files import explain_missing, name_damaged
from utils.video.image_folders import list_videos

import numpy as np

SPLITS = ("train", "val", "test")
# UCF101's recording groups, then clips that were cut from one video.
GROUP_PATTERNS = (r"_(g\d+)_", r"^(.+)[_-](?:clip|part|seg|segment|shot|scene)[_-]?\d+$")


@dataclass(frozen=True)
class Example:
    """A video file, its label, its split ("" where none is given) and its group."""

    path: str
    label: str
    split: str = ""
    group: str = ""

    @property
    def labels(self):
        """The tuple of class names in `label`, which ";" separates; each once."""
        names = (name.strip() for name in self.label.split(";"))
        return tuple(dict.fromkeys(name for name in names if name))


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


def group_of(name, pattern=""):
    """Return the group of a file name: the first match of the pattern(s), else the name itself."""
    stem = Path(name).stem
    for candidate in (pattern,) if pattern else GROUP_PATTERNS:
        if match := re.search(candidate, stem):
            return match.group(1) if match.groups() else match.group()
    return stem


def _labels(examples):
    return {label for example in examples for label in example.labels}


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
    classes = _labels(examples)
    if len(classes) < 2:
        raise ValueError(
            f"data_path {data_path}: found {len(classes)} class(es) {sorted(classes)}; training "
            "needs two or more. Expected one folder per class with its videos inside."
        )
    return [replace(example, group=group_of(example.path, group_pattern)) for example in examples]


def list_classes(examples, names=()):
    """Return the classes of examples, in the order of a network's outputs.

    Args:
        examples: list of `Example`.
        names: all classes, in the order wanted; empty for those of the examples, sorted.

    Raises:
        ValueError: a label that is not among the names, a name given twice, or fewer than two.
    """
    classes = list(names) or sorted(_labels(examples))
    unknown = _labels(examples) - set(classes)
    if unknown:
        path = next(example.path for example in examples if unknown & set(example.labels))
        raise ValueError(
            f"{path}: the class list does not know: {', '.join(sorted(unknown))}; known: "
            f"{', '.join(classes)}."
        )
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if twice or len(classes) < 2:
        raise ValueError(
            f"The class list is {', '.join(classes) or 'empty'}; give two or more classes, each "
            "once (for one output too: the negative, then the positive)."
        )
    return classes


def _hold_out(examples, fraction, seed):
    """Return the positions of about `fraction` of the examples, stratified, groups kept whole."""
    counts = Counter(label for example in examples for label in example.labels)
    labels = [min(e.labels, key=lambda label: (counts[label], label)) for e in examples]  # rarest
    groups = [example.group for example in examples]
    largest = max(Counter(labels).values())
    folds = min(max(2, round(1 / fraction)), len(set(groups)), largest)
    if folds < 2:
        raise ValueError(
            f"All {len(examples)} videos are in one group ({groups[0]!r}), or one a class: nothing "
            "can be held out. Give --group-pattern, more videos, or --val-fraction 0."
        )
    from sklearn.model_selection import StratifiedGroupKFold  # slow, and no worker process needs it

    with warnings.catch_warnings():  # a class smaller than the number of folds is no matter
        warnings.simplefilter("ignore", UserWarning)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        return set(next(splitter.split(np.zeros(len(labels)), labels, groups))[1].tolist())


def assign_splits(examples, val_fraction, test_fraction=0.0, seed=0):
    """Fill in the splits that are not given.

    Given splits stay. Without any, a test and a validation split are held out; with a training
    split but no validation split, the latter is held out of the former. What is held out is
    stratified by class, by the rarest of an example with several.

    Args:
        examples: list of `Example`.
        val_fraction, test_fraction: shares of the examples; 0 for none.
        seed: of the draw.

    Returns:
        The examples, each with a split.

    Raises:
        ValueError: nothing can be held out because all videos are one group.
    """
    given = {example.split for example in examples}
    examples = [replace(example, split=example.split or "train") for example in examples]
    for split, fraction in (("test", test_fraction), ("val", val_fraction)):
        if fraction and split not in given and (split == "val" or given == {""}):
            rest = [i for i, example in enumerate(examples) if example.split == "train"]
            share = min(fraction * len(examples) / len(rest), 0.5)
            held = _hold_out([examples[i] for i in rest], share, seed)
            for position in held:
                index = rest[position]
                examples[index] = replace(examples[index], split=split)
    return examples


def check_readable(listed, readable):
    """Raise a ValueError, naming it, when nothing readable is left of a given split or a class.

    Args:
        listed: the examples before the unreadable ones were taken out.
        readable: those that are left.
    """
    trained = [example for example in readable if example.split in ("", "train")]
    lost = [
        *({example.split for example in listed} - {example.split for example in readable}),
        *(_labels(listed) - _labels(trained)),
    ]
    if lost:
        raise ValueError(
            f"No readable {'' if lost[0] in SPLITS else 'training '}video is left of "
            f"{', '.join(sorted(filter(None, lost)))}; see the problems above."
        )


def select_split(examples, split=""):
    """Return the examples of a split; all of them for "".

    Raises:
        ValueError: no example is of that split; the known ones are named.
    """
    splits = sorted({example.split for example in examples} - {""})
    if split and split not in splits:
        raise ValueError(f"No split {split!r} there; known: {', '.join(splits) or 'none'}.")
    return [example for example in examples if example.split == split or not split]


def save_examples(examples, path):
    """Write examples as a CSV that `list_csv` reads."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split", "group"])
        writer.writerows([str(Path(e.path).resolve()), e.label, e.split, e.group] for e in examples)
