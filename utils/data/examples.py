"""Examples: a video, what it shows, its split and its group."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from utils.system.files import whole_path
from utils.system.tables import write_csv

SPLITS = ("train", "val", "test")
# What splits are called besides, in any case; "set" and the like may follow.
_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "development": "val",
    "test": "test",
    "testing": "test",
}
_SPLIT_ENDING = re.compile(r"[_ -]*(?:sets?|data|splits?|videos?)$")


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


def find_split(name, splits=SPLITS):
    """Return what a split is called among `splits`: of videos val, of signed sentences dev.

    Usual names are known in any case, such as Training, valid and test_set. A name that is none of
    them is returned as it is.
    """
    known = _SPLIT_NAMES.get(_SPLIT_ENDING.sub("", name.casefold()), name)
    return known if known in splits else {"val": "dev"}.get(known, name)


class Repeat(NamedTuple):
    """What is said of a video that is listed more than once, and whether its rows contradict."""

    text: str
    contradicts: bool


def find_repeats(examples):
    """Return {path: `Repeat`} of the videos that are listed more than once.

    Args:
        examples: list of `Example`.
    """
    rows = defaultdict(list)
    for example in examples:
        rows[os.path.normpath(example.path)].append(example)
    repeats = {}
    for same in rows.values():
        if len(same) > 1:
            kinds = dict.fromkeys((each.split, each.labels) for each in same)
            shown = (" ".join([";".join(labels), split]).strip() for split, labels in kinds)
            text = f"listed {len(same)} times, as {' and as '.join(shown)}"
            repeats[same[0].path] = Repeat(text, len(kinds) > 1)
    return repeats


def find_alike(labels):
    """Return lists of labels that differ only by case, or by how Unicode composes them, sorted."""
    alike = defaultdict(list)
    for label in sorted(labels):
        alike[unicodedata.normalize("NFC", label).casefold()].append(label)
    return [names for names in alike.values() if len(names) > 1]


def labels_of(examples):
    """Return the set of all class names of examples."""
    return {label for example in examples for label in example.labels}


def list_classes(examples, names=()):
    """Return the classes of examples, in the order of a network's outputs.

    Args:
        examples: list of `Example`.
        names: all classes, in the order wanted; empty for those of the examples, sorted.

    Raises:
        ValueError: a label that is not among the names, a name given twice, or fewer than two.
    """
    classes = list(names) or sorted(labels_of(examples))
    unknown = labels_of(examples) - set(classes)
    if unknown:
        path = next(example.path for example in examples if unknown & set(example.labels))
        raise ValueError(
            f"{path}: unknown class: {', '.join(sorted(unknown))}; known classes: "
            f"{', '.join(classes)}."
        )
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if twice or len(classes) < 2:
        raise ValueError(
            f"The list of classes is {', '.join(classes) or 'empty'}. Give two or more "
            "classes, each once (for a single output: first the negative, then the "
            "positive)."
        )
    return classes


def check_training(examples):
    """Raise a ValueError when all examples are in splits that are not trained on."""
    splits = {example.split for example in examples}
    if splits and not splits & {"", "train"}:
        raise ValueError(
            f"There is no video to train on: all {len(examples)} are in "
            f"{' and '.join(sorted(splits))}. Put some into the split train."
        )


def check_readable(listed, readable):
    """Raise a ValueError, naming it, when nothing readable is left of a given split or a class.

    Args:
        listed: the examples before the unreadable ones were taken out.
        readable: those that are left.
    """
    check_training(listed)
    trained = [example for example in readable if example.split in ("", "train")]
    lost = [
        *({example.split for example in listed} - {example.split for example in readable}),
        *(labels_of(listed) - labels_of(trained)),
    ]
    if lost:
        what = "" if lost[0] in SPLITS else "training "
        names = ", ".join(sorted(filter(None, lost)))
        if len(listed) == len(readable):
            raise ValueError(
                f"There is no {what}video of {names}: all are in other splits. Put some into the "
                "split train, or leave those classes out."
            )
        raise ValueError(f"No readable {what}video is left of {names}; see the problems above.")


def select_split(examples, split=""):
    """Return the examples of a split; all of them for "".

    Raises:
        ValueError: no example is of that split; the known ones are named.
    """
    splits = sorted({example.split for example in examples} - {""})
    if split and split not in splits:
        raise ValueError(f"There is no split {split!r}; known: {', '.join(splits) or 'none'}.")
    return [example for example in examples if example.split == split or not split]


def save_examples(examples, path):
    """Write examples as a CSV that `list_csv` reads."""
    rows = ((whole_path(e.path), e.label, e.split, e.group) for e in examples)
    write_csv(path, ("path", "label", "split", "group"), rows)
