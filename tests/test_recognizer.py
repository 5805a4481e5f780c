"""The recognizer's network and loss: lengths, reading both ways, what is normalized."""

from models.ctc import ctc_loss
from models.recognizer import (
    RecognitionLoss,
    build_recognizer,
    choose_front,
    output_lengths,
    set_statistics,
)
from support.backends import once

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.models
DIM, ROWS = 12, 16


def to_array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def predict(network, features, lengths):
    inputs = {"features": features, "lengths": np.array(lengths, "int32")}
    return to_array(network.predict_on_batch(inputs))  # compiled, which JAX is slow without


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).normal(size=(2, ROWS, DIM)).astype("float32")


PAIRS = [
    ("bilstm", "none"),
    ("bilstm", "K5-P2-K5-P2"),
    ("transformer", "K5-K5"),
    ("transformer", "K5-P2-K5"),
]


@pytest.mark.parametrize(("encoder", "front"), PAIRS)
def test_padding_changes_nothing(features, encoder, front):
    network = build_recognizer(DIM, 5, front, encoder, 16)
    logits = predict(network, features, [ROWS, 11])
    steps = output_lengths(np.array([ROWS, 11]), front)
    assert logits.shape == (2, 2, steps[0], 6) and logits.dtype == np.float32
    wild = np.full((1, 9, DIM), np.nan, "float32")
    alone = predict(network, np.concatenate([features[1:, :11], wild], 1), [11])
    np.testing.assert_allclose(logits[1, :, : steps[1]], alone[0, :, : steps[1]], atol=1e-5)
    # The last real row reaches the first step, and the first one the last.
    for place, seen in ((10, 0), (0, -1)):
        changed = features[1:, :11].copy()
        changed[:, place] += 5
        if front != "K5-P2-K5-P2" or place == 0:  # whose last three rows are too few for a step
            other = predict(network, changed, [11])[0, 0, : steps[1]]
            assert np.abs(other[seen] - logits[1, 0, : steps[1]][seen]).max() > 1e-7


@pytest.mark.parametrize("encoder", ["bilstm", "transformer"])
def test_padding_changes_nothing_at_two_rates(features, encoder):
    places = ("rows", "front", "slow", "encoder")
    network = build_recognizer(DIM, 5, "K5-P2-K5", encoder, 16, slow=4, places=places)
    logits = predict(network, features, [ROWS, 11])
    assert logits.shape == (2, 5, 8, 6)
    wild = np.full((1, 9, DIM), np.nan, "float32")
    alone = predict(network, np.concatenate([features[1:, :11], wild], 1), [11])
    np.testing.assert_allclose(logits[1, :, :5], alone[0, :, :5], atol=1e-5)
    # The rows' own path sees two rows a step, the slow one five times four around it.
    changed = features.copy()
    changed[0, 3] += 5
    moved = np.abs(predict(network, changed, [ROWS, 11]) - logits)[0].max(-1)
    assert np.flatnonzero(moved[1] > 1e-6).tolist() == [1]
    slow = moved[3] > 1e-6
    assert slow.any() and not slow[6:].any() and (slow[::2] == slow[1::2]).all()
    assert (moved[[0, 4]] > 1e-7).all()  # the encoder reads all steps from its first layer on


def test_steps_and_fronts():
    assert output_lengths(np.array([3, 11, 16]), "K5-P2-K5-P2").tolist() == [0, 2, 4]
    assert output_lengths(np.array([3, 11]), "K5-K5").tolist() == [3, 11]
    fronts = {stride: choose_front(stride) for stride in (1, 2, 3, 4, 16)}
    assert fronts == {
        1: "K5-P2-K5-P2",
        2: "K5-P2-K5",
        3: "K5-K5",
        4: "K5-K5",
        16: "K5-K5",
    }


@once
def test_size_at_full_width():
    """Two convolutions, their norms, four LSTMs, one classifier for both outputs."""
    network = build_recognizer(1024, 1100, "K5-P2-K5-P2")
    lstm = 4 * 512 * (1024 + 512 + 1)
    assert network.count_params() == 2 * 1024 + 2 * (5 * 1024**2 + 4 * 1024) + 4 * lstm + 1024 * (
        1101
    )


def test_features_are_normalized(features):
    network = build_recognizer(DIM, 5, "none", "bilstm", 16)
    plain = predict(network, features, [ROWS, ROWS])
    set_statistics(network, np.full(DIM, 7.0), np.append(np.full(DIM - 1, 9.0), 0))
    scaled = features * np.append(np.full(DIM - 1, 3), 1).astype("float32") + 7
    np.testing.assert_allclose(predict(network, scaled, [ROWS, ROWS]), plain, atol=1e-4)


@once
def test_unknown_places_of_losses():
    for places in (("rows", "end"), ("slow",)):
        with pytest.raises(ValueError, match="possible are rows, front, slow, encoder"):
            build_recognizer(DIM, 5, "none", "bilstm", 16, places=places)


@once
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("K7", "bilstm", 16), "Unknown front 'K7'; known: none, K5-K5"),
        (("none", "gru", 16), "Unknown encoder 'gru'; known: bilstm, transformer"),
        (("none", "bilstm", 20), "width is 20; give a multiple of 16"),
    ],
)
def test_unknown_names_and_widths(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_recognizer(DIM, 5, *arguments)


def test_loss_adds_its_parts():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (2, 2, 6, 4)).astype("float32")
    targets = np.array([[6, 2, 1, 3], [4, 1, 2, 0]])
    final, auxiliary = (
        to_array(ctc_loss(targets[:, 2:], targets[:, 1], logits[:, place], targets[:, 0]))
        for place in (0, 1)
    )
    plain = to_array(RecognitionLoss(0.0)(targets, logits))
    np.testing.assert_allclose(plain, final.mean(), rtol=1e-5)
    both = to_array(RecognitionLoss(0.5)(targets, logits.astype("float16")))
    np.testing.assert_allclose(both, (final + 0.5 * auxiliary).mean(), rtol=1e-2)

    def softmax(x):
        return np.exp(x) / np.exp(x).sum(-1, keepdims=True)

    teacher, student = softmax(logits[:, 0, :, 1:] / 8), softmax(logits[:, 1, :, 1:] / 8)
    apart = 64 * (teacher * np.log(teacher / student)).sum(-1)
    expected = np.mean([apart[0].mean(), apart[1, :4].mean()])
    distilled = to_array(RecognitionLoss(0.0, 3.0)(targets, logits))
    np.testing.assert_allclose(distilled - plain, 3 * expected, rtol=1e-3)
    logits[1, :, 4:] = 1e4  # beyond the length
    np.testing.assert_allclose(to_array(RecognitionLoss(0.0, 3.0)(targets, logits)), distilled)


def test_loss_is_smoothed_and_read_at_all_places():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (2, 3, 6, 4)).astype("float32")
    targets = np.array([[6, 2, 1, 3], [4, 1, 2, 0]])
    ctc = [
        to_array(ctc_loss(targets[:, 2:], targets[:, 1], logits[:, place], targets[:, 0]))
        for place in range(3)
    ]
    every = to_array(RecognitionLoss(0.5)(targets, logits))
    np.testing.assert_allclose(every, np.mean(ctc[0] + 0.5 * (ctc[1] + ctc[2])), rtol=1e-5)
    said = logits[:, 0] - np.log(np.exp(logits[:, 0]).sum(-1, keepdims=True))
    apart = (np.log(1 / 4) - said).mean(-1)  # of the uniform distribution, a step
    expected = [apart[0].sum(), apart[1, :4].sum()]
    smooth = to_array(RecognitionLoss(0.0, smoothing=0.1)(targets, logits))
    np.testing.assert_allclose(smooth, np.mean(0.9 * ctc[0] + 0.1 * np.array(expected)), rtol=1e-5)
    logits[1, :, 4:] = np.nan  # beyond the length
    again = to_array(RecognitionLoss(0.0, smoothing=0.1)(targets, logits))
    np.testing.assert_allclose(again, smooth, rtol=1e-6)
