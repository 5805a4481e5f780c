"""Windows' probabilities to steps, and steps to intervals."""

from utils.scores.intervals import Interval, count_steps, merge_steps, smooth_step, smooth_windows

import numpy as np
import pytest


def test_a_step_is_the_mean_of_the_windows_that_see_it():
    assert [count_steps(*plan) for plan in ((64, 32), (64, 64), (64, 16), (8, 20))] == [2, 1, 4, 1]
    outputs = [np.array([1.0, 0]), np.array([0, 1.0]), np.array([0, 1.0])]
    np.testing.assert_allclose(smooth_step(1, [0, 1, 2], outputs, 2), [0.5, 0.5])
    times, rows = smooth_windows([0, 1, 2], [0.0, 1.0, 2.0], outputs, 2, 3.7)
    np.testing.assert_allclose(times, [0, 1, 2, 3, 3.7])
    np.testing.assert_allclose(rows, [[1, 0], [0.5, 0.5], [0, 1], [0, 1]])
    times, rows = smooth_windows([0, 1, 2], [0.0, 1.0, 2.0], outputs, 1, 3.7)
    np.testing.assert_allclose(times, [0, 1, 2, 3.7])
    np.testing.assert_allclose(rows, outputs)


def test_one_window_and_dropped_windows():
    times, rows = smooth_windows([0], [0.0], [np.array([0.2, 0.8])], 4, 1.5)
    np.testing.assert_allclose(times, [0, 1.5])
    np.testing.assert_allclose(rows, [[0.2, 0.8]])
    outputs = [np.array([1.0]), np.array([0.5]), np.array([0.0])]
    times, rows = smooth_windows([0, 3, 4], [0.0, 3.0, 4.0], outputs, 2, 10.0)
    np.testing.assert_allclose(times, [0, 3, 4, 5, 10])
    np.testing.assert_allclose(rows[:, 0], [1, 0.5, 0.25, 0])


def test_intervals_of_one_label_and_of_several():
    times = np.array([0, 1, 2, 3, 4.5])
    scores = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.6, 0.4]])
    found = merge_steps(scores >= 0.5, scores, times, ["run", "jump"])
    assert [each[:3] for each in found] == [(0, 2, "run"), (2, 3, "jump"), (3, 4.5, "run")]
    assert [each.score for each in found] == pytest.approx([0.8, 0.8, 0.6])
    both = merge_steps(scores >= 0.3, scores, times, ["run", "jump"])
    assert [each[:3] for each in both] == [(0, 2, "run"), (1, 4.5, "jump"), (3, 4.5, "run")]
    assert merge_steps(scores > 1, scores, times, ["run", "jump"]) == []
    assert isinstance(found[0], Interval) and type(found[0].start) is float
