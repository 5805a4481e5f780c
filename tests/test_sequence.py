"""Batches: whatever the workers do, an epoch is decided by (seed, epoch, index)."""

import numpy as np
import pytest

from utils.augmentation import CENTRE, Transform, apply_flow, apply_rgb, draw_transform
from utils.sequence import Sequence, class_weights

TARGETS = np.eye(3)[[0] * 10 + [1] * 4 + [2] * 3]


def read(index, epoch):
    return np.array([index, epoch])


def batches(**kwargs):
    sequence = Sequence(read, TARGETS, 4, **kwargs)
    return [sequence[i] for i in range(len(sequence))]


def test_training_batches_are_full_and_cover_all():
    inputs = np.concatenate([x for x, _, _ in batches(seed=1)])
    assert len(inputs) == 20
    assert set(inputs[:, 0]) == set(range(17))


def test_evaluation_counts_each_example_once():
    counted = batches(replicas=2)
    assert [len(x) for x, _, _ in counted] == [4, 4, 4, 4, 2]
    indices = np.concatenate([x[w > 0, 0] for x, _, w in counted])
    assert indices.tolist() == list(range(17))


def test_epochs_differ_and_are_repeatable():
    sequence = Sequence(read, TARGETS, 4, seed=1)
    first = sequence.order
    sequence.on_epoch_end()
    assert sequence.epoch == 1 and not np.array_equal(first, sequence.order)
    assert sequence[0][0][0, 1] == 1
    second = sequence.order
    sequence.start(0)
    assert np.array_equal(first, sequence.order)
    again = Sequence(read, TARGETS, 4, seed=1, workers=3)
    again.start(1)
    assert np.array_equal(second, again.order)


def test_class_weights_and_balanced_sampling():
    weights = TARGETS @ class_weights(TARGETS)
    assert weights.mean() == pytest.approx(1)
    assert [weights[TARGETS[:, c] > 0].sum() for c in range(3)] == pytest.approx([17 / 3] * 3)
    weighted = np.concatenate([w for _, _, w in batches(seed=0, balance="weights")])
    assert weighted.max() > 1.5 > weighted.min()
    drawn = np.concatenate([y for _, y, _ in batches(seed=0, balance="sampling")]).sum(0)
    assert drawn.max() - drawn.min() <= 3


def test_bad_batches():
    with pytest.raises(ValueError, match="does not divide by the 3 devices"):
        Sequence(read, TARGETS, 4, seed=0, replicas=3)
    with pytest.raises(ValueError, match="No examples"):
        Sequence(read, TARGETS[:0], 4)


def test_one_transform_for_all_frames():
    clip = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 3), np.uint8)
    clip[:] = clip[0]
    changed = apply_rgb(clip, draw_transform(np.random.default_rng(2)))
    assert np.ptp(changed, axis=0).max() == 0
    assert np.abs(changed).max() <= 1
    np.testing.assert_allclose(apply_rgb(clip, CENTRE), clip / 127.5 - 1, atol=1e-6)


def test_flow_flip_turns_the_motion_round():
    flow = np.random.default_rng(0).uniform(-20, 20, (2, 4, 4, 2)).astype("float32")
    flipped = apply_flow(flow, Transform(flip=True))
    np.testing.assert_allclose(flipped[..., 0], -flow[:, :, ::-1, 0] / 20, atol=1e-6)
    np.testing.assert_allclose(flipped[..., 1], flow[:, :, ::-1, 1] / 20, atol=1e-6)
