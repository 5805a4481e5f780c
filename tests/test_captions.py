"""Captions under a video: readable, each label in its color, none cut off."""

from utils.pictures.captions import caption_frames
from utils.scores.intervals import Interval

import numpy as np
import pytest

GRAY = np.full((20, 200, 3), 90, np.uint8)
LINE = slice(20, 56)


def measure_contrast(color):
    """Return the contrast of a color, from 0 to 1, with black, as WCAG 2 counts it."""
    color = np.asarray(color)
    linear = np.where(color > 0.04045, ((color + 0.055) / 1.055) ** 2.4, color / 12.92)
    return (linear @ [0.2126, 0.7152, 0.0722] + 0.05) / 0.05


def test_every_label_is_readable_on_black():
    intervals = [Interval(n, n + 1, f"label {n}", 0.9) for n in range(10)]
    moments = [(n + 0.5, GRAY) for n in range(10)]
    brightest = []
    for frame in caption_frames(moments, intervals, 10):
        letters = frame[LINE].reshape(-1, 3)
        brightest.append(letters[letters.sum(1).argmax()] / 255)
    assert min(map(measure_contrast, brightest)) > 7
    assert len({tuple(color) for color in brightest}) == 10


@pytest.mark.parametrize("words", ["x" * 60, "$a^$ b", ""])
def test_long_and_odd_labels_fit(words):
    both = [Interval(0, 1, words, 0.9), Interval(0, 2, "other", 0.8)]
    first, last = caption_frames([(0.5, GRAY), (1.5, GRAY)], both, 2)
    for frame in (first, last):
        lit = np.flatnonzero(frame[LINE].max((0, 2)) > 60)
        assert len(lit) > 10 and lit.min() >= 3 and lit.max() <= 196
    colors = [frame[LINE].reshape(-1, 3).astype(int) for frame in (first, last)]
    blue, orange = (
        [(each @ direction).max() for each in colors] for direction in ([-1, 0, 1], [1, 0, -1])
    )
    assert blue[0] > 30 > blue[1] and min(orange) > 30
