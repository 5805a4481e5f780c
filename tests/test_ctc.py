"""The loss and the decoders against brute force over all alignments."""

import itertools

from models.ctc import (
    align,
    count_needed_steps,
    ctc_loss,
    decode,
    decode_glosses,
    drop_blank,
    encode_glosses,
    find_impossible,
    measure_blanks,
    measure_prior,
    name_classes,
)

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.models
STEPS, CLASSES = 5, 4
LENGTHS = np.array([5, 3, 4, 1])


def test_classes_begin_with_the_blank():
    vocabulary = ["A", "B", "NORD", "REGEN"]
    assert encode_glosses("REGEN NEBEL A".split(), vocabulary) == [4, 1]
    assert decode_glosses([4, 1], vocabulary) == ["REGEN", "A"]
    assert [name_classes(vocabulary)[each] for each in (0, 4, 1)] == ["<blank>", "REGEN", "A"]
    assert drop_blank(np.arange(10).reshape(2, 5)).tolist() == [[1, 2, 3, 4], [6, 7, 8, 9]]


def collapse(path):
    return tuple(label for label, _ in itertools.groupby(path) if label)


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def brute_force(logits):
    """Return {labels: probability} of one sample, logits (steps, classes)."""
    logs, totals = log_softmax(logits), {}
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        probability = np.exp(sum(logs[step, label] for step, label in enumerate(path)))
        totals[collapse(path)] = totals.get(collapse(path), 0) + probability
    return totals


@pytest.fixture(scope="module")
def logits():
    return np.random.default_rng(0).normal(0, 2, (4, STEPS, CLASSES)).astype("float32")


@pytest.fixture(scope="module")
def totals(logits):
    return [brute_force(row[:length]) for row, length in zip(logits, LENGTHS, strict=True)]


LABELS = [(1, 2, 1), (3, 3), (), (2,)]


def test_loss_is_that_of_all_alignments(logits, totals):
    padded = np.array([[*labels, *[9] * (3 - len(labels))] for labels in LABELS])
    lengths = np.array([len(labels) for labels in LABELS])
    wild = logits.copy()
    wild[np.arange(STEPS) >= LENGTHS[:, None]] = np.nan  # beyond the lengths: never looked at
    loss = keras.ops.convert_to_numpy(ctc_loss(padded, lengths, wild, LENGTHS))
    expected = [-np.log(t[labels]) for t, labels in zip(totals, LABELS, strict=True)]
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    half = keras.ops.convert_to_numpy(ctc_loss(padded, lengths, logits.astype("float16"), LENGTHS))
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, expected, rtol=1e-2)


def test_loss_trains_a_network_of_any_length():
    """In the compiled graph of `fit`, whose batches have unknown sizes; padding has no gradient."""

    class Alone(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(CLASSES)

        def call(self, inputs):
            return self.dense(inputs)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            losses = ctc_loss(y["labels"], y["label_lengths"], y_pred, y["lengths"])
            return keras.ops.mean(losses)

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    network = Alone()
    network.compile(keras.optimizers.Adam(0.1))
    inputs = rng.normal(size=(4, 6, 3)).astype("float32")
    inputs[:, 4:] = 1e30  # padding
    targets = {
        "labels": np.array([[1, 2], [2, 0], [3, 1], [1, 0]]),
        "label_lengths": np.array([2, 1, 2, 1]),
        "lengths": np.array([4, 3, 4, 2]),
    }
    history = network.fit(inputs, targets, batch_size=4, epochs=25, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert history[-1] < 0.7 * history[0]


def test_greedy_takes_the_best_class_of_each_real_step(logits):
    expected = [
        list(collapse(row[:length].argmax(-1).tolist()))
        for row, length in zip(logits, LENGTHS, strict=True)
    ]
    assert decode(logits, LENGTHS) == expected


def test_beam_search_finds_the_most_probable_labels(logits, totals):
    expected = [list(max(total, key=total.get)) for total in totals]
    assert decode(logits, LENGTHS, beam_width=60) == expected


@pytest.mark.parametrize("labels", [(1, 2, 1), (3, 3), (2,), (), (1, 2, 3, 1, 2)])
def test_alignment_is_the_most_probable_of_all(logits, labels):
    for sample in logits:
        spans = align(sample, labels)
        path = np.zeros(STEPS, int)
        for label, (start, end) in zip(labels, spans, strict=True):
            path[start:end] = label
        logs, every = log_softmax(sample), itertools.product(range(CLASSES), repeat=STEPS)
        fitting = (p for p in every if collapse(p) == labels)
        best = max(fitting, key=lambda p: logs[np.arange(STEPS), p].sum())
        assert tuple(path.tolist()) == best
    (decoded,) = decode(logits[:1], [STEPS])
    taken = logits[0].argmax(-1)
    for label, (start, end) in zip(decoded, align(logits[0], decoded), strict=True):
        assert (taken[start:end] == label).all()  # of the best labels, the best path
    with pytest.raises(ValueError, match="3 labels need 5 time steps, but there are 4"):
        align(logits[0, :4], (1, 1, 1))


def test_beam_search_sums_over_alignments():
    """Where the best path is all blank, but the labels' alignments together are likelier."""
    step = np.log([[0.6, 0.4]] * 2)  # blank blank 0.36; 1 in three alignments: 0.64
    assert decode(step[None], [2]) == [[]]
    assert decode(step[None], [2], beam_width=4) == [[1]]


@pytest.mark.parametrize("beam_width", [1, 8])
def test_decoding_looks_at_true_lengths_only(logits, beam_width):
    found = decode(logits, LENGTHS, beam_width)
    wild = logits.copy()
    wild[np.arange(STEPS) >= LENGTHS[:, None]] = np.nan
    assert decode(wild, LENGTHS, beam_width) == found
    assert decode(logits, [5, 0, 4, 0], beam_width) == [found[0], [], found[2], []]
    assert decode(logits, [0, 0, 0, 0], beam_width) == [[]] * 4


def test_a_prior_takes_weight_from_the_blank():
    logits = np.log(np.array([[[0.6, 0.3, 0.1], [0.6, 0.1, 0.3]]]))
    prior = measure_prior(logits, [2])
    np.testing.assert_allclose(prior, [0.6, 0.2, 0.2], rtol=1e-5)
    for beam_width in (1, 5):
        assert decode(logits, [2], beam_width, prior, 0.0) == [[]]
    assert decode(logits, [2], 1, prior, 1.0) == [[1, 2]]
    # 1 2 has 1/4; 1 by its three alignments 11/36.
    assert decode(logits, [2], 5, prior, 1.0) == [[1]]


def test_impossible_samples_are_found():
    assert [count_needed_steps(s) for s in ([], [4], [1, 2, 1], [1, 1, 1], [2, 2, 3, 3])] == [
        0, 1, 3, 5, 6,
    ]  # fmt: skip
    assert find_impossible([[1, 2, 1], [1, 1, 1], [2, 2], []], [3, 4, 2, 0]) == [1, 2]
    labels, steps = [(1, 1), (1, 2)], 2  # the loss of the one is finite, of the other not sensible
    loss = ctc_loss(np.array(labels), np.array([2, 2]), np.zeros((2, steps, 3)), np.array([2, 2]))
    loss = keras.ops.convert_to_numpy(loss)
    assert loss[0] > 100 > loss[1]
    assert find_impossible(labels, [steps] * 2) == [0]


def test_blank_ratio_and_its_reference():
    logits = np.zeros((2, 4, 3))
    logits[..., 1] = 1
    logits[0, :3, 0] = 2  # three blanks of four steps, then none of two; the rest is padding
    logits[1, 2:, 0] = 2
    assert measure_blanks(logits, [4, 2], [1, 2]) == (0.5, 0.5)
    assert measure_blanks(logits, [4, 4], [1, 1]) == (pytest.approx(5 / 8), pytest.approx(6 / 8))


def test_bad_arrays_are_errors(logits):
    with pytest.raises(ValueError, match="lengths \\(3,\\)"):
        decode(logits, [5, 3, 4])
    with pytest.raises(ValueError, match="lengths go from 1 to 6"):
        decode(logits, [6, 1, 1, 1])
    with pytest.raises(ValueError, match="NaN or infinity"):
        decode(np.full((1, 2, 3), np.nan), [2])
    with pytest.raises(ValueError, match="no time step"):
        measure_blanks(logits, [0] * 4, [0] * 4)
