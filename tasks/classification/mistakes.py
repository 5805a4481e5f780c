"""Which videos a classifier errs on with the most confidence, and which it barely gets right."""

from collections import Counter
from pathlib import Path

from utils.pictures.html import name_video
from utils.pictures.mistakes import SHOWN, Case, Section, find_reason
from utils.scores.metrics import decide_classes, spread_outputs

import numpy as np


def measure_confidence(truth, decided, scores):
    """Return how sure a classifier is of each video's answer where it is wrong, and as a whole.

    A wrong answer counts by the class that is wrongly named, or where none is, by the one that is
    most surely left out. A right one counts by the least sure of the classes that it names, or
    where it names none, of all.

    Args:
        truth, decided: bool (videos, classes), what is so and what is said.
        scores: (videos, classes), probabilities.

    Returns:
        (confidence of the error, -inf where there is none; confidence of the answer), both
        (videos,).
    """
    sure = np.where(decided, scores, 1 - scores)

    def choose(among):
        named = among & decided
        return np.where(named.any(1, keepdims=True), named, among)

    wrong = np.where(choose(truth != decided), sure, -np.inf).max(1)
    return wrong, np.where(choose(np.ones_like(decided)), sure, np.inf).min(1)


def _say(names, chosen, scores):
    return ", ".join(f"{names[i]} {scores[i]:.2f}" for i in np.flatnonzero(chosen)) or "none"


def name_explanations(examples):
    """Return {path: name of its explanation's folder}, "" for those whose file's name is unique."""
    stems = Counter(Path(example.path).stem for example in examples)
    return {
        path: f"{Path(path).parent.name}_{Path(path).stem}" if stems[Path(path).stem] > 1 else ""
        for path in (example.path for example in examples)
    }


def list_mistakes(scored, judge, runs, flags=()):
    """Return the `Section`s of the most confident wrong and the least confident right videos.

    Args:
        scored: a `tasks.classification.scoring.Scored`.
        judge: a `tasks.answers.Judge`.
        runs: folders of the runs that were scored.
        flags: that scripts.explain needs besides.
    """
    truth = spread_outputs(scored.targets, judge.labels) > 0.5
    decided = decide_classes(judge.labeling, scored.probabilities, judge.thresholds)
    scores = spread_outputs(scored.probabilities, judge.labels)
    error, confidence = measure_confidence(truth, decided, scores)
    folders = name_explanations(scored.examples)

    def make_case(index):
        path = scored.examples[index].path
        facts = {
            "true": _say(judge.labels, truth[index], scores[index]),
            "predicted": _say(judge.labels, decided[index], scores[index]),
        }
        reasons = [find_reason(run, path, folders[path], flags) for run in runs]
        return Case(path, name_video(path), facts, reasons)

    wrong = np.flatnonzero(np.isfinite(error))
    right = np.flatnonzero(~np.isfinite(error))
    sections = (
        ("Wrong, the most confident first", False, wrong[np.argsort(-error[wrong], kind="stable")]),
        ("Right, the least confident first", True, right[np.argsort(confidence[right])]),
    )
    return [
        Section(
            f"{heading}: {min(len(chosen), SHOWN)} of {len(chosen)}",
            is_right,
            [make_case(index) for index in chosen[:SHOWN].tolist()],
        )
        for heading, is_right, chosen in sections
    ]
