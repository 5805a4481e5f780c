"""Dynamic time warping against a plain program, and what it finds."""

from utils.signing.nearest import POINTS, find_nearest, spread_rows, warp_distances

import numpy as np


def warp(a, b):
    """Return the distance of two sequences, cell by cell."""
    costs = np.full((len(a) + 1, len(b) + 1), np.inf)
    costs[0, 0] = 0
    for i, row in enumerate(a):
        for j, other in enumerate(b):
            before = min(costs[i, j], costs[i, j + 1], costs[i + 1, j])
            costs[i + 1, j + 1] = before + np.linalg.norm(row - other)
    return costs[-1, -1]


def test_distances_are_those_of_a_plain_program():
    generator = np.random.default_rng(0)
    query, others = generator.normal(size=(7, 3)), generator.normal(size=(5, 7, 3))
    expected = [warp(query, other) for other in others]
    np.testing.assert_allclose(warp_distances(query, others), expected, rtol=1e-5)


def test_rows_are_spread():
    rows = np.arange(5, dtype=float)[:, None] * [1, 10]
    np.testing.assert_allclose(spread_rows(rows, 9)[:, 0], np.arange(9) / 2)
    assert spread_rows(rows[:1]).tolist() == [[0, 0]] * POINTS


def test_a_sentence_is_found_at_another_speed():
    generator = np.random.default_rng(1)
    sentences = [generator.normal(size=(count, 4)).cumsum(0) for count in (20, 50, 33, 90)]
    slow = [np.repeat(rows, 2, axis=0) for rows in sentences]
    assert find_nearest(slow[::-1], sentences).tolist() == [3, 2, 1, 0]
