"""Captions under a video: readable on a phone, each label in its color, none cut off."""

from utils.pictures.captions import caption_frames, save_captions
from utils.scores.intervals import Interval
from utils.video.reading import probe, resized_frames
from utils.video.writing import write_video

import numpy as np
import pytest

GRAY = np.full((20, 200, 3), 90, np.uint8)
BAR = 8  # pixels, of 200


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
        letters = frame[20:-BAR].reshape(-1, 3)
        brightest.append(letters[letters.sum(1).argmax()] / 255)
    assert min(map(measure_contrast, brightest)) > 7
    assert len({tuple(color) for color in brightest}) == 10


@pytest.mark.parametrize("words", ["x" * 60, "a_" * 40, "one two " * 12, "$a^$ b", "跑步", ""])
def test_long_and_odd_labels_fit(words):
    both = [Interval(0, 1, words, 0.9), Interval(0, 2, "other", 0.8)]
    first, last = caption_frames([(0.5, GRAY), (1.5, GRAY)], both, 2)
    assert first.shape == last.shape
    for frame in (first, last):
        lit = np.flatnonzero(frame[20:-BAR].max((0, 2)) > 60)
        assert len(lit) > 10 and lit.min() >= 2 and lit.max() <= 197
        rows = frame[20:-BAR].max((1, 2))
        assert max(rows[0], rows[-1]) < 60  # nothing is cut off above or below
    colors = [frame[20:-BAR].reshape(-1, 3).astype(int) for frame in (first, last)]
    blue, orange = (
        [(each @ direction).max() for each in colors] for direction in ([-1, 0, 1], [1, 0, -1])
    )
    assert blue[0] > 30 > blue[1] and min(orange) > 30


def test_twelve_labels_at_once_fit():
    intervals = [Interval(0, 1, f"class number {n}", 0.9) for n in range(12)]
    (frame,) = caption_frames([(0.5, GRAY)], intervals, 1)
    assert len({tuple(color) for color in frame[20:-BAR].reshape(-1, 3) if color.max() > 150}) > 9


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1080, 1920), (1280, 720)),
        ((1920, 1080), (720, 1280)),
        ((48, 64), (320, 240)),
        ((61, 321), (322, 62)),
        ((100, 2000), (1920, 96)),
    ],
)
def test_letters_are_large_on_a_phone(tmp_path, size, shown):
    """A capital has at least 3 % of the width, in landscape, portrait and tiny videos."""
    write_video(tmp_path / "a.avi", [np.full((*size, 3), 90, np.uint8)], 25)
    save_captions(tmp_path / "b.mp4", tmp_path / "a.avi", [Interval(0, 1, "HIT", 0.9)], 1)
    video = probe(tmp_path / "b.mp4")
    (frame,) = resized_frames(video, [0], min(video.width, video.height))
    assert video.width == shown[0] and video.width % 2 == video.height % 2 == 0
    below = frame[shown[1] : round(-0.05 * video.width)].max(-1)
    lit = np.flatnonzero(below.max(1) > 100)
    assert lit.max() - lit.min() + 1 >= 0.03 * video.width
