"""What a predictor answers, and how a classifier's probabilities become an answer."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from utils.runs.folders import load_data
from utils.scores.intervals import Interval, merge_steps, smooth_step, smooth_windows
from utils.scores.labelings import choose_labeling, load_thresholds
from utils.scores.metrics import decide_classes, spread_outputs
from utils.system.words import escape

import numpy as np

TOP = 5
_SHOWN = 10  # intervals of a prediction that a notebook shows


class ShownRows(NamedTuple):
    """Rows of features that a network was shown, float32 (segments, channels).

    Their numbers among the video's rows, and their seconds.
    """

    rows: np.ndarray
    numbers: np.ndarray
    seconds: np.ndarray


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
            of recognition a gloss each, as the vocabulary writes it.
        times: (steps + 1,), seconds at which the steps begin, and the last one ends.
        probabilities: float32 (steps, labels) of the predictor's labels, smoothed; of recognition
            without the blank's.
        note: what is odd about the file, such as that it breaks off; or "".
        shown: of a head on features, the `ShownRows` of the view in the middle; else None.
        logits: of recognition, (steps, 1 + glosses); else None.
        whole: (labels,), the probability of each label in the whole video; of recognition None.
    """

    video: str
    duration: float
    top: list[tuple[str, float]]
    labels: list[str]
    intervals: list[Interval]
    times: np.ndarray
    probabilities: np.ndarray
    note: str = ""
    shown: ShownRows | None = None
    logits: np.ndarray | None = None
    whole: np.ndarray | None = None

    def __repr__(self):
        return self.describe(_SHOWN)

    def summarize(self):
        """Return a line for the screen: what is decided, and how probable the first of it is."""
        share = f" {self.top[0][1]:.3f}" if self.top else ""
        odd = f" (warning: {self.note})" if self.note else ""
        said = " ".join(self.labels) or "-"
        return escape(f"{self.video} ({self.duration:.1f} s): {said}{share}{odd}")

    def describe(self, most=None):
        """Return lines for the screen: what is decided, the top, and the intervals.

        Args:
            most: intervals that are listed, at most; None for all.
        """
        lines = [f"{self.video} ({self.duration:.1f} s): {' '.join(self.labels) or '-'}"]
        lines += [f"  warning: {self.note}"] if self.note else []
        lines += [f"  {probability:.3f}  {label}" for label, probability in self.top]
        shown = self.intervals if len(self.times) > 2 else []
        lines += [
            f"  {each.start:7.1f} to {each.end:7.1f} s  {each.score:.3f}  {each.label}"
            for each in shown[:most]
        ]
        if left := len(shown) - len(shown[:most]):
            lines.append(f"  and {left} more intervals")
        return "\n".join(map(escape, lines))


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


@dataclass
class Seen:
    """What is seen in windows that slide over a video.

    Attributes:
        depth: how many windows see a step, of `utils.scores.intervals.count_steps`.
        indices, begins, outputs: of each window its number, when it begins in seconds, and the
            probabilities.
    """

    depth: int
    indices: list[int] = field(default_factory=list)
    begins: list[float] = field(default_factory=list)
    outputs: list[np.ndarray] = field(default_factory=list)

    def add(self, window, outputs):
        """Take a `utils.clips.windows.Window` and what came out of it."""
        self.indices.append(window.index)
        self.begins.append(window.begin)
        self.outputs.append(outputs)

    def average(self):
        """Return the mean of all windows' probabilities."""
        return np.mean(self.outputs, axis=0)

    def smooth_newest(self):
        """Return the probabilities of the newest window's step, as `smooth_step` does."""
        near = slice(-self.depth, None)
        return smooth_step(self.indices[-1], self.indices[near], self.outputs[near], self.depth)

    def smooth(self, duration):
        """Return the times and the probabilities of all steps, as `smooth_windows` does."""
        return smooth_windows(self.indices, self.begins, self.outputs, self.depth, duration)


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

    def conclude(self, video, duration, whole, seen, note=""):
        """Return the `Prediction` of a video.

        Args:
            video: its path.
            duration: of it in seconds.
            whole: probabilities (outputs,) of the whole video.
            seen: `Seen`.
            note: what is odd about the file.
        """
        times, outputs = seen.smooth(duration)
        decided = decide_classes(self.labeling, outputs, self.thresholds)
        spread = spread_outputs(outputs, self.labels).astype(np.float32)
        intervals = merge_steps(decided, spread, times, self.labels)
        named, (shares,) = self.name(whole), spread_outputs(whole[None], self.labels)
        seen = duration, *named, intervals, times, spread, note
        return Prediction(str(video), *seen, whole=shares)


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
