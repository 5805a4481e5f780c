"""What a predictor answers, and how a classifier's probabilities become an answer."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from utils.runs.folders import load_data
from utils.scores.intervals import Interval, count_steps, merge_steps, smooth_windows
from utils.scores.labelings import choose_labeling, load_thresholds
from utils.scores.metrics import decide_classes, spread_outputs

import numpy as np

TOP = 5


class Prediction(NamedTuple):
    """What a video shows.

    Attributes:
        video: its path.
        duration: seconds.
        top: [(label, probability)] of the whole video, most probable first, at most `TOP`; of
            recognition [].
        labels: what is decided for the whole video: one label, or with sigmoid all whose
            probability reaches its threshold; of recognition the glosses, cleaned as they are
            scored.
        intervals: [`utils.scores.intervals.Interval`] (start, end, label, score), by their starts;
            of
            recognition a gloss each, as the vocabulary writes it.
        times: (steps + 1,), seconds at which the steps begin, and the last one ends.
        probabilities: float32 (steps, labels) of the predictor's labels, smoothed; of recognition
            without the blank's.
        note: what is odd about the file, such as that it breaks off; or "".
    """

    video: str
    duration: float
    top: list[tuple[str, float]]
    labels: list[str]
    intervals: list[Interval]
    times: np.ndarray
    probabilities: np.ndarray
    note: str = ""


class LiveStep(NamedTuple):
    """What a live source shows in its newest window.

    Attributes:
        begin, end: of the window, in seconds since the first frame.
        top, labels: as of a `Prediction`, smoothed over this window and those before it that see
            the same step.
    """

    begin: float
    end: float
    top: list[tuple[str, float]]
    labels: list[str]


class Seen(NamedTuple):
    """What was seen in windows: lists of their numbers, begins in seconds, and outputs."""

    indices: list[int]
    begins: list[float]
    outputs: list[np.ndarray]

    def add(self, window, outputs):
        """Take a `utils.clips.windows.Window` and what came out of it."""
        self.indices.append(window.index)
        self.begins.append(window.begin)
        self.outputs.append(outputs)


def rank_labels(labels, probabilities, count=TOP):
    """Return [(label, probability)] of the most probable labels, the highest first.

    Args:
        labels: names.
        probabilities: (labels,).
        count: how many, at most.
    """
    order = np.argsort(-np.asarray(probabilities), kind="stable")[:count]
    return [(labels[place], float(probabilities[place])) for place in order]


@dataclass(frozen=True)
class Judge:
    """How outputs of a classifier become labels.

    Attributes:
        labels: names of the classes.
        labeling: a key of `utils.scores.labelings.LABELINGS`.
        thresholds: one an output; empty for 0.5.
    """

    labels: list
    labeling: str = "single"
    thresholds: tuple = ()

    def name(self, outputs):
        """Return (the top, the labels decided) of probabilities (outputs,)."""
        outputs = np.asarray(outputs)[None]
        decided = decide_classes(self.labeling, outputs, self.thresholds)[0]
        chosen = [label for label, yes in zip(self.labels, decided, strict=True) if yes]
        return rank_labels(self.labels, spread_outputs(outputs, self.labels)[0]), chosen

    def conclude(self, video, whole, seen, plan, info):
        """Return the `Prediction` of a video.

        Args:
            video: its path.
            whole: probabilities (outputs,) of the whole video.
            seen: `Seen`.
            plan: (window, step) in the same unit.
            info: (duration in seconds, note).
        """
        duration, note = info
        times, outputs = smooth_windows(*seen, count_steps(*plan), duration)
        decided = decide_classes(self.labeling, outputs, self.thresholds)
        spread = spread_outputs(outputs, self.labels).astype(np.float32)
        intervals = merge_steps(decided, spread, times, self.labels)
        return Prediction(str(video), duration, *self.name(whole), intervals, times, spread, note)


def open_judge(run, params):
    """Return the `Judge` of a run of classification.

    Args:
        run: its folder.
        params: its `Params`.
    """
    examples, classes = load_data(run)
    labeling = choose_labeling(params.activation, examples, classes)
    thresholds = load_thresholds(Path(run, "thresholds.json"), labeling, classes)
    return Judge(classes, labeling, tuple(thresholds))
