"""Trust in explanations: a map counts if its places tell more than a blob in the middle."""

from models.explaining.methods import Maps, Question
from tasks.classification.trust import blur, delete_and_insert, draw_blob, rank_cells, try_maps

import numpy as np
import pytest


class Sum:
    """A network that says "red" by how red a clip is, weighed by where."""

    def __init__(self, weights):
        self.weights = weights

    def __call__(self, clips, training):
        red = (np.asarray(clips)[..., 0] * self.weights).sum((1, 2, 3, 4))
        return np.stack([np.zeros(len(red)), red], 1)


def test_trust_in_maps():
    """A map of the places that count is believed; their opposite, or a blob, is not."""
    clip = np.zeros((1, 1, 4, 56, 56, 3), np.float32)
    clip[..., :8, :8, 0] = 1
    clip[..., 8:16, :8, 0] = -1  # blurred, nothing is left of both
    corner = np.zeros((1, 1, 14, 14))
    corner[..., :2, :2] = 1
    question = Question(Sum(np.ones((1, 4, 56, 56))), clip, 1, 1, None)
    centers = [np.zeros(1), *[4 * np.arange(14) + 1.5] * 2]
    right = try_maps(question, Maps(corner, centers))
    wrong = try_maps(question, Maps(1 - corner, centers))
    assert right.carries and "the marked places count for the answer" in str(right)
    assert not wrong.carries and "not at all" in str(wrong) and wrong.gap < right.gap
    blob = draw_blob(4, 56)
    assert blob[0].argmax() in (27 * 56 + 27, 27 * 56 + 28, 28 * 56 + 27, 28 * 56 + 28)
    assert delete_and_insert(question, blob).gap == right.blob == wrong.blob
    nothing = try_maps(question, Maps(np.zeros_like(corner), centers))
    assert not nothing.carries


def test_ranks_of_cells():
    maps = np.zeros((1, 28, 28))
    maps[0, 4:6, 8:10] = 1
    ranks = rank_cells(maps)[0]
    assert ranks[2, 4] == 0 and sorted(ranks.ravel()) == pytest.approx(np.arange(196) / 196)
    assert ranks[1:4, 3:6].max() < ranks[8:, 8:].min()  # of what counts for nothing, what is near


def test_blur_keeps_what_is_even_and_loses_stripes():
    even, stripes = np.full((2, 56, 56, 3), 0.5), np.indices((1, 56, 56))[2][..., None] % 2
    np.testing.assert_allclose(blur(even), even, atol=1e-6)
    assert blur(stripes.astype(float)).std() < 0.05
