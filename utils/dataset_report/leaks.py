"""What held-out videos have in common with training videos, and splits in which they have nothing.

A network that has seen a video's copy, or its camera, in training can recognize that instead of
the action; its score is then too good.
"""

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from utils.data.examples import labels_of
from utils.data.splits import FOLDER_PATTERN, assign_splits, find_groups
from utils.dataset_report.duplicates import Pair, find_copies, find_pairs, join

import numpy as np

KINDS = ("exact duplicate", "near-duplicate", "same scene")
# Ways in which names often say what belongs together: (what is equal, pattern).
PATTERNS = (
    ("the name without its last number", r"^(.*?)[_-]?\d+$"),
    ("what comes before the first _ or -", r"^([^_-]+)[_-]"),
    ("the last number without its last digit", r"(\d*)\d\D*$"),
    ("the folder", FOLDER_PATTERN),
)


def relate(records):
    """Return the `Pair`s of records (kinds: `KINDS`), sorted by their indices."""
    copies = find_copies([record.path for record in records])
    exact = {pair for indices in copies for pair in combinations(indices, 2)}
    pairs = [Pair(*pair, "exact duplicate", 1.0) for pair in exact]
    found = find_pairs(
        np.stack([record.signature for record in records]),
        np.stack([record.colors for record in records]),
    )
    pairs += [pair for pair in found if pair.indices not in exact]
    return sorted(pairs, key=lambda pair: pair.indices)


def crossing(pairs, splits):
    """Return the pairs whose videos are in different splits; `splits` has one a video."""
    return [pair for pair in pairs if splits[pair.first] != splits[pair.second]]


def count_leaks(pairs, splits):
    """Count what the videos that are held out have in common with those of other splits.

    Returns:
        Dict: "pairs" of each kind across splits; "videos", how many held-out ones are in such a
        pair with a training video; "held_out", how many there are.
    """
    across = crossing(pairs, splits)
    touched = {
        index
        for pair in across
        for index, other in (pair.indices, pair.indices[::-1])
        if splits[other] == "train"
    }
    return {
        "pairs": {kind: sum(pair.kind == kind for pair in across) for kind in KINDS},
        "videos": len(touched),
        "held_out": sum(split != "train" for split in splits),
    }


def judge_split(examples, pairs, fractions, seed):
    """Judge the split that is given, or else the one that training would draw.

    Args:
        examples: list of `Example`.
        pairs: list of `Pair` of their indices.
        fractions: shares of validation and test videos, where no split is given.
        seed: of the draw.

    Returns:
        (facts, splits): what `count_leaks` says, whether the split is "given", which training
        videos to "remove" from a given one so that nothing leaks, and the "error" where none can
        be drawn; the split of each example.
    """
    given = [example.split or "train" for example in examples]
    facts = {"given": any(example.split for example in examples), "remove": []}
    if facts["given"]:
        seen = {index for pair in crossing(pairs, given) for index in pair.indices}
        facts["remove"] = sorted(examples[i].path for i in seen if given[i] == "train")
    try:
        splits = [example.split for example in assign_splits(examples, *fractions, seed)]
    except ValueError as error:
        splits, facts["error"] = given, str(error)
    return facts | count_leaks(pairs, splits), splits


def list_scenes(examples, pairs):
    """Return lists of the paths that pairs lead from one to the other, the longest first."""
    scenes = defaultdict(list)
    roots = join(len(examples), [pair.indices for pair in pairs])
    for example, root in zip(examples, roots, strict=True):
        scenes[root].append(example.path)
    return sorted((paths for paths in scenes.values() if len(paths) > 1), key=len, reverse=True)


def find_split_groups(examples):
    """Return {group: {split: videos}} of the groups, named by a pattern, that are in several."""
    groups = defaultdict(Counter)
    for example in examples:
        if example.group != Path(example.path).stem:
            groups[example.group][example.split] += 1
    return {group: dict(counts) for group, counts in groups.items() if len(counts) > 1}


def join_scenes(examples, pairs):
    """Return the examples with what has anything in common, or a group of a pattern, in a group."""
    first, links = {}, [pair.indices for pair in pairs]
    for index, example in enumerate(examples):
        if example.group != Path(example.path).stem:
            links.append((first.setdefault(example.group, index), index))
    roots = join(len(examples), links)
    return [replace(e, group=f"scene {root}") for e, root in zip(examples, roots, strict=True)]


def draw_clean_split(examples, pairs, fractions, seed):
    """Draw a split that no pair crosses; given splits are replaced by new ones of their size.

    Args:
        examples: list of `Example`.
        pairs: list of `Pair` of their indices.
        fractions: shares of validation and test videos, where no split is given.
        seed: of the draw.

    Returns:
        The examples with their splits, or None where everything belongs together.
    """
    given = Counter(example.split for example in examples)
    if set(given) != {""}:
        fractions = [given[split] / len(examples) for split in ("val", "test")]
    joined = join_scenes([replace(example, split="") for example in examples], pairs)
    try:
        return assign_splits(joined, *fractions, seed)
    except ValueError:
        return None


def suggest_pattern(examples, pairs):
    """Return (what is equal, pattern) of `PATTERNS` that holds 90 % of the pairs together, or None.

    A pattern that puts more than a third of the videos into one group is none, nor is one that
    tells no more groups than there are labels.
    """
    candidates, classes = [], labels_of(examples)
    for row in PATTERNS if pairs else ():
        groups = find_groups([example.path for example in examples], row[1])
        kept = np.mean([groups[pair.first] == groups[pair.second] for pair in pairs])
        counts = Counter(groups)
        large = max(counts.values()) > len(examples) / 3
        if kept >= 0.9 and not large and len(counts) > len(classes):
            candidates.append((kept, row))
    return max(candidates, default=(0, None), key=lambda candidate: candidate[0])[1]
