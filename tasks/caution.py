"""When the page of `scripts.demo` says that it is not sure, and why from there on."""

from typing import NamedTuple

from tasks.classification.sources import inspect
from utils.runs.folders import load_data
from utils.runs.saved_params import load_params
from utils.scores.confidence import WANTED, choose_confidence

import numpy as np

_ENOUGH = 20  # validation videos, to choose a confidence on


class Caution(NamedTuple):
    """Below which confidence an answer is called unsure, and where that number comes from."""

    confidence: float
    reason: str


def _answer_validation(predictor, run):
    """Return (confidences, whether they are of the right class) of a run's validation videos.

    Only of those whose features training kept: the others would have to be computed first.
    """
    chosen = [example for example in load_data(run)[0] if example.split == "val"]
    videos, _ = inspect([e.path for e in chosen], load_params(run / "params.json"))
    found = []
    for example in chosen:
        views = predictor.source.list_views(videos[example.path]) if example.path in videos else ()
        if views and predictor.source.recall(views[0]) is not None:
            shares = predictor.see_view(views[0])
            found.append((shares.max(), predictor.labels[shares.argmax()] == example.label))
    return np.array(found, float).reshape(-1, 2).T


def choose_caution(predictor, run=None, given=None):
    """Return the `Caution` of a predictor; None where several labels, or glosses, are answered.

    Args:
        predictor: of `tasks.predictors.open_predictor`.
        run: its folder; None for the published network.
        given: the confidence, where a person chose it.
    """
    if predictor.kind != "classes" or predictor.judge.labeling != "single":
        return None
    if given is not None:
        return Caution(given, f"Below {given:.0%} this page says that it is not sure.")
    guess = (1 + 1 / len(predictor.labels)) / 2  # halfway from chance to certainty
    said = f"Below {guess:.0%} this page says that it is not sure. That number is a guess: "
    if run is None or not predictor.clip_format:
        return Caution(guess, f"{said}it was not measured for this network.")
    confidences, right = _answer_validation(predictor, run)
    count = len(right)
    if count < _ENOUGH:
        return Caution(guess, f"{said}{count} validation videos are too few to choose it.")
    chosen, hits = choose_confidence(confidences, right), round(right.sum())
    if chosen > 1:
        return Caution(
            chosen,
            f"This page is not sure of any answer: {hits} of {count} validation videos were "
            f"answered right, and not even the most confident answers reach {WANTED:.0%}.",
        )
    sure = confidences >= chosen
    return Caution(
        chosen,
        f"Below {chosen:.0%} this page says that it is not sure. From there on "
        f"{round(right[sure].sum())} of {sure.sum()} validation videos were answered right, below "
        f"{round(right[~sure].sum())} of {(~sure).sum()}. New videos may do worse.",
    )
