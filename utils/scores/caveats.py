"""What one should know before one believes a score: sentences for the screen.

A score may be of few examples, of those that chose what is scored, or no better than one and the
same answer everywhere.
"""

from collections import Counter
from shlex import quote
from statistics import mean

from utils.places import name_command
from utils.scores.metrics import SUMMARIES
from utils.system.words import escape

FEW = 50  # examples: of fewer, each moves a share by more than 2 points
# Split: what its examples are called.
_TITLES = {"train": "training videos", "val": "validation videos", "all": "videos"}
# What a run did with the examples of a split.
_USES = {"train": "trained the network", "val": "chose {}", "dev": "chose {}"}


def say_worth(count, what, one, score, whole=None):
    """Say what one example is worth where a score comes from fewer than `FEW`.

    Args:
        count: of the examples.
        what: they are, such as "6 val videos".
        one: of what the score counts, such as "video" or "gloss".
        score: its name.
        whole: how many of those there are; None for `count`.

    Returns:
        A list of one sentence, or of none.
    """
    if count >= FEW:
        return []
    return [f"{what}: each {one} is worth {100 / max(whole or count, 1):.2g} points of {score}."]


def say_optimism(names, splits, what, chosen):
    """Say which of the scored examples the run has used before, so that the score is too good.

    Args:
        names: of the scored examples.
        splits: {name: split} of the run's own.
        what: the examples are, such as "videos".
        chosen: what validation chose, such as "the best epoch".

    Returns:
        A list of one sentence, or of none.
    """
    counts = Counter(splits.get(name) for name in names)
    uses = [
        f"{count} of {len(names)} {what} {use.format(chosen)}"
        for split, use in _USES.items()
        if (count := counts[split])
    ]
    if not uses:
        return []
    return [
        f"This score is optimistic: {' and '.join(uses)}. Only {what} that the run has never used "
        "give an honest one (--split test, or --data-path)."
    ]


def find_constant(report):
    """Return what the best answer is that never looks at a video, and what it scores.

    Args:
        report: of `utils.scores.metrics.score_classes`.

    Returns:
        (the answer in words, the score's name in words, its key in the report, its value); None
        where all videos are of one class.
    """
    counts = {name: row["videos"] for name, row in report["per_class"].items() if row["videos"]}
    if len(counts) < 2:
        return None
    if report["labeling"] == "multi":  # the average precision of equal scores is the share
        share = mean(counts.values()) / report["videos"]
        return "giving all videos the same scores", "mAP", "mean_average_precision", share
    frequent = max(counts, key=counts.get)
    words, key = next(iter(SUMMARIES[report["labeling"]].items()))
    return f"always answering {escape(frequent)}", words, key, counts[frequent] / report["videos"]


def say_constant(report, data):
    """Say where a network does no better than an answer that never looks at a video.

    Args:
        report: of `utils.scores.metrics.score_classes`.
        data: the videos, as --data-path takes them.

    Returns:
        A list of one sentence and what to do, or of none.
    """
    found = find_constant(report)
    if not found or report[found[2]] > found[3]:
        return []
    answer, words, _, score = found
    return [
        f"The network does no better than {answer} ({words} {score:.3f} on these videos). Check "
        f"the data: {name_command('scripts.analyze_dataset')} {quote(data)}. If the training loss "
        "stayed high, give more --epochs or other --learning-rates; if it fell, add videos, or "
        "give --dropout 0.8."
    ]


def say_all(report, split, data):
    """Return the sentences that a report of `score_classes` calls for.

    Args:
        report: the report.
        split: that was scored, or "all".
        data: the videos, as --data-path takes them.
    """
    count, words = report["videos"], next(iter(SUMMARIES[report["labeling"]]))
    what = f"Only {count} {_TITLES.get(split, f'{split} videos')}"
    worth = say_worth(count, what, "video", words)
    more = f"{name_command('scripts.cross_validate')} --data-path {quote(data)} --name folds"
    return [*(f"{line} {more} tests on all." for line in worth), *say_constant(report, data)]
