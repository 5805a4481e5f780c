"""Which examples train, validate and test; groups stay whole."""

import re
import warnings
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import islice
from pathlib import Path

from utils.data.examples import SPLITS, check_training, labels_of

import numpy as np

# UCF101's recording groups, then clips that were cut from one video.
GROUP_PATTERNS = (r"_(g\d+)_", r"^(.+)[_-](?:clip|part|seg|segment|shot|scene)[_-]?\d+$")


FOLDER_PATTERN = r"([^/]+)/[^/]+$"  # the folder that a video lies in


def _match(pattern, name):
    match = re.search(pattern, name)
    return match and (match.group(1) if match.groups() else match.group())


def group_of(name, pattern=""):
    """Return the group of a file name: the first match of the pattern(s), else the name itself."""
    stem = Path(name).stem
    found = (_match(each, stem) for each in ((pattern,) if pattern else GROUP_PATTERNS))
    return next((group for group in found if group is not None), stem)


def find_groups(paths, pattern="", root=""):
    """Return the group of each video: the first match of the pattern in its name, else its name.

    A pattern that no name has, such as one with a slash, is looked for in the paths.

    Args:
        paths: of all videos.
        pattern: regular expression; "" for `GROUP_PATTERNS`.
        root: the data's folder, where the paths that a pattern sees begin; "" for whole ones.
    """
    if not pattern or any(re.search(pattern, Path(path).stem) for path in paths):
        return [group_of(path, pattern) for path in paths]
    groups = []
    for path in map(Path, paths):
        below = path.relative_to(root) if root and path.is_relative_to(root) else path
        found = _match(pattern, below.with_suffix("").as_posix())
        groups.append(path.stem if found is None else found)
    return groups


def _cover_classes(examples, held, seed):
    """Return groups to hold out, like those given, of every class that has two groups or more.

    Every class keeps a group to train on, and where groups are of several classes, this comes
    first. Groups that move are small, and drawn among those of the same size.

    Args:
        examples: list of `Example`.
        held: set of groups.
        seed: of the draw.
    """
    sizes, classes, held = Counter(e.group for e in examples), defaultdict(set), set(held)
    for example in examples:
        classes[example.group].update(example.labels)
    groups = np.random.default_rng(seed).permutation(sorted(sizes)).tolist()
    groups.sort(key=sizes.get)
    own = {label: [g for g in groups if label in classes[g]] for label in labels_of(examples)}
    for label in sorted(own):
        if held.issuperset(own[label]):
            held.remove(own[label][0])
    for label in sorted(own):
        if held.isdisjoint(own[label]):
            spare = (
                g for g in own[label] if all(set(own[each]) - held - {g} for each in classes[g])
            )
            held.update(islice(spare, 1))
    return held


def block_of(path, size):
    """Return the block that a file's number (the last in its name, from 1) falls into.

    Raises:
        ValueError: no number in the name.
    """
    numbers = re.findall(r"\d+", Path(path).stem)
    if not numbers:
        raise ValueError(
            f"{path}: the file name contains no number, so the video belongs to no block. "
            "Number the files, or train with --val-fraction and several --seed."
        )
    return max(int(numbers[-1]) - 1, 0) // size


def _hold_out(examples, fraction, seed):
    """Return the positions of about `fraction` of the examples, stratified, groups kept whole.

    No class loses all its groups, and one is held out of every class that has two or more.
    """
    counts = Counter(label for example in examples for label in example.labels)
    labels = [min(e.labels, key=lambda label: (counts[label], label)) for e in examples]  # rarest
    groups = [example.group for example in examples]
    largest = max(Counter(labels).values())
    folds, held = min(max(2, round(1 / fraction)), len(set(groups)), largest), set()
    if folds >= 2:
        from sklearn.model_selection import StratifiedGroupKFold  # slow; no worker process needs it

        with warnings.catch_warnings():  # of classes smaller than the number of folds
            warnings.simplefilter("ignore", UserWarning)
            splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
            drawn = next(splitter.split(np.zeros(len(labels)), labels, groups))[1]
        held = _cover_classes(examples, {groups[position] for position in drawn}, seed)
    if not held:
        raise ValueError(
            f"All {len(examples)} videos are in one group ({groups[0]!r}), or each class "
            "is one group, so no video can be held out for validation. Give "
            f"--group-pattern ('{FOLDER_PATTERN}' takes the folder, such as rec1 of "
            "rec1/front.mp4), more videos, or --val-fraction 0."
        )
    return {position for position, group in enumerate(groups) if group in held}


def list_missing(examples, classes):
    """Return {split: [class]} of the splits that lack classes; those without examples are not.

    Args:
        examples: list of `Example`.
        classes: all their names.
    """
    found = defaultdict(set)
    for example in examples:
        found[example.split].update(example.labels)
    missing = {s: [name for name in classes if name not in found[s]] for s in SPLITS if s in found}
    return {split: names for split, names in missing.items() if names}


def assign_splits(examples, val_fraction, test_fraction=0.0, seed=0):
    """Fill in the splits that are not given.

    Given splits stay. Without any, a test and a validation split are held out; with a training
    split but no validation split, the latter is held out of the former. What is held out is
    stratified by class, by the rarest of an example with several; of every class that has two
    groups or more some are held out and some are not, as far as groups of several classes allow.

    Args:
        examples: list of `Example`.
        val_fraction, test_fraction: shares of the examples; 0 for none.
        seed: of the draw.

    Returns:
        The examples, each with a split.

    Raises:
        ValueError: nothing can be held out because all videos are one group, or nothing is left
            to train on.
    """
    check_training(examples)
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
