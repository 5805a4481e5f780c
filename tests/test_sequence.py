"""Batches: whatever the workers do, an epoch is decided by (seed, epoch, index)."""

from utils.clips.batches import Sequence, TrainingOrder, draw_order, example_weights

import numpy as np
import pytest

TARGETS = np.eye(3)[[0] * 10 + [1] * 4 + [2] * 3]


def read(index, epoch):
    return np.array([index, epoch])


def batches(order=None, targets=TARGETS, **kwargs):
    sequence = Sequence(read, targets, 4, order, **kwargs)
    return [sequence[i] for i in range(len(sequence))]


def test_training_batches_are_full_and_cover_all():
    inputs = np.concatenate([x for x, _, _ in batches(TrainingOrder(1))])
    assert len(inputs) == 20
    assert set(inputs[:, 0]) == set(range(17))


def test_evaluation_counts_each_example_once():
    counted = batches(replicas=2)
    assert [len(x) for x, _, _ in counted] == [4, 4, 4, 4, 2]
    indices = np.concatenate([x[w > 0, 0] for x, _, w in counted])
    assert indices.tolist() == list(range(17))


def test_epochs_differ_and_are_repeatable():
    sequence = Sequence(read, TARGETS, 4, TrainingOrder(1))
    first = sequence.order
    sequence.on_epoch_end()
    assert sequence.epoch == 1 and not np.array_equal(first, sequence.order)
    assert sequence[0][0][0, 1] == 1
    second = sequence.order
    sequence.start(0)
    assert np.array_equal(first, sequence.order)
    again = Sequence(read, TARGETS, 4, TrainingOrder(1), workers=3)
    again.start(1)
    assert np.array_equal(second, again.order)


def test_order_is_the_one_of_earlier_versions():
    plain = draw_order(TARGETS, np.random.default_rng([1, 0]))
    assert plain.tolist() == [1, 10, 14, 15, 7, 12, 3, 4, 5, 8, 0, 9, 2, 16, 13, 11, 6]
    assert np.array_equal(Sequence(read, TARGETS, 4, TrainingOrder(1)).order[:17], plain)
    balanced = draw_order(TARGETS, np.random.default_rng([1, 0]), balanced=True)
    assert balanced.tolist() == [11, 8, 14, 13, 4, 15, 16, 12, 7, 10, 15, 0, 14, 11, 1, 2, 16]


def test_weights_and_balanced_sampling():
    weights = example_weights(TARGETS)
    assert weights.mean() == pytest.approx(1)
    assert [weights[TARGETS[:, c] > 0].sum() for c in range(3)] == pytest.approx([17 / 3] * 3)
    weighted = batches(TrainingOrder(0, "weights"))
    for _, targets, given in weighted:
        np.testing.assert_allclose(given, targets @ (17 / 3 / TARGETS.sum(0)), rtol=1e-6)
    drawn = np.concatenate([y for _, y, _ in batches(TrainingOrder(0, "sampling"))]).sum(0)
    assert drawn.max() - drawn.min() <= 3


def test_one_column_is_two_classes():
    targets = np.array([[1.0]] * 2 + [[0.0]] * 8)
    np.testing.assert_allclose(example_weights(targets), [2.5] * 2 + [0.625] * 8)
    drawn = draw_order(targets, np.random.default_rng(0), balanced=True)
    assert targets[drawn].sum() == 5
    assert example_weights(np.zeros((3, 1))).tolist() == [1, 1, 1]
    assert batches(TrainingOrder(0), targets)[0][1].shape == (4, 1)


def test_several_labels_or_none():
    targets = np.array([[1, 0, 0]] * 6 + [[1, 1, 0]] * 2 + [[0, 0, 0]] * 4)
    weights = example_weights(targets)  # classes of 8, 2, 0 and 4 without a label
    raw = np.array([1 / 8] * 6 + [(1 / 8 + 1 / 2) / 2] * 2 + [1 / 4] * 4)
    np.testing.assert_allclose(weights, raw / raw.mean())
    drawn = draw_order(targets, np.random.default_rng(0), balanced=True)
    assert (drawn >= 8).sum() == 4  # a third of the turns
    assert (drawn >= 6).sum() >= 8
    assert all((w == 1).all() for _, _, w in batches(targets=targets))


def test_mixing_follows_from_seed_epoch_and_step():
    order = TrainingOrder(3, mixup=0.4)
    first = Sequence(lambda index, epoch: np.full(5, float(index)), TARGETS, 4, order)
    again = Sequence(first.read, TARGETS, 4, order, workers=3)
    mixed = {}
    for epoch in (0, 1):
        first.start(epoch)
        again.start(epoch)
        for step in reversed(range(5)):
            mixed[epoch, step] = first[step][1]
        for step in range(5):
            assert np.array_equal(again[step][1], mixed[epoch, step])
    shares = {round(float(np.unique(targets % 1).max()), 6) for targets in mixed.values()}
    assert len(shares) > 5
    plain = Sequence(first.read, TARGETS, 4, TrainingOrder(3))
    assert np.array_equal(plain.order, Sequence(first.read, TARGETS, 4, order).order)
    assert set(np.unique(plain[0][1])) == {0, 1}


def test_bad_batches():
    with pytest.raises(ValueError, match="cannot be divided among 3 devices"):
        Sequence(read, TARGETS, 4, TrainingOrder(0), replicas=3)
    with pytest.raises(ValueError, match="no examples"):
        Sequence(read, TARGETS[:0], 4)
