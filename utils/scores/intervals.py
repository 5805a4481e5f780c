"""Windows' probabilities over time: smoothed, and merged into labeled intervals.

A video is cut into steps: step k begins where window k does, and lasts until step k + 1 begins.
"""

from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A label from `start` to `end`, in seconds, and its score: the mean probability there."""

    start: float
    end: float
    label: str
    score: float


def count_steps(window, step):
    """Return how many windows see a step, of windows of so many frames and so far apart."""
    return max(1, round(window / step))


def smooth_step(step, indices, probabilities, depth):
    """Return the smoothed probabilities of a step: the mean of those of the windows that see it.

    A moving average over `depth` windows, those that begin at the step or up to `depth` - 1 steps
    before it. No window is waited for that does not see the step.

    Args:
        step: its number.
        indices: of the windows, int, rising.
        probabilities: a row a window.
        depth: of `count_steps`.

    Returns:
        float32 (outputs,).
    """
    near = [place for place, index in enumerate(indices) if step - depth < index <= step]
    return np.mean([probabilities[place] for place in near], axis=0, dtype=np.float32)


def smooth_windows(indices, begins, probabilities, depth, duration):
    """Return the smoothed probabilities of all steps of a video.

    Args:
        indices, probabilities: as in `smooth_step`; windows may be missing, then the step before
            lasts longer.
        begins: of the windows' steps, in seconds.
        depth: of `count_steps`.
        duration: of the video, in seconds.

    Returns:
        (times float (steps + 1,), at which steps begin, and the last one ends; float32 (steps,
        outputs)).
    """
    gap = (begins[-1] - begins[0]) / max(indices[-1] - indices[0], 1)
    steps = dict(zip(indices, begins, strict=True))
    for later in range(1, depth):  # which the last window sees, but none begins at
        begin = begins[-1] + later * gap
        if gap and begin < duration:
            steps[indices[-1] + later] = begin
    rows = []
    for step in steps:
        place = np.searchsorted(indices, step, "right")
        near = slice(max(0, place - depth), place)
        rows.append(smooth_step(step, indices[near], probabilities[near], depth))
    return np.append(list(steps.values()), max(duration, begins[-1])), np.stack(rows)


def merge_steps(decided, probabilities, times, labels):
    """Merge neighboring steps of one label into intervals.

    Args:
        decided: bool (steps, classes), whether a step is of a class; of several, or of none.
        probabilities: (steps, classes).
        times: (steps + 1,), as in `smooth_windows`.
        labels: of the classes.

    Returns:
        [`Interval`], by their starts.
    """
    found = []
    for place in np.flatnonzero(decided.any(0)):
        edges = np.flatnonzero(np.diff(np.pad(decided[:, place].astype(int), 1)))
        for first, end in edges.reshape(-1, 2):
            score = float(np.mean(probabilities[first:end, place]))
            found.append(Interval(float(times[first]), float(times[end]), labels[place], score))
    return sorted(found, key=lambda each: (each.start, -each.score))
