"""Rows of positions made independent of where someone stands."""

from models.recognizer import build_recognizer, see_rows, set_statistics
from models.rows import ArrangeRows

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.models


@pytest.fixture
def rows():
    """Two sentences of 7 and 5 rows: left hand, right hand, nose."""
    rows = np.random.default_rng(0).normal(100, 20, (2, 7, 6)).astype("float32")
    return rows, np.array([7, 5], "int32")


def arrange(rows, lengths, **how):
    return keras.ops.convert_to_numpy(ArrangeRows(**how)(rows, lengths))


def test_positions_are_relative_to_a_point(rows):
    x = rows[0]
    nose = np.tile(x[..., 4:], 2)
    np.testing.assert_allclose(arrange(*rows, relative_to=(4, 5)), x[..., :4] - nose, rtol=1e-5)
    # Of three coordinates, the third is no position: it stays, that of the point too.
    found = arrange(*rows, relative_to=(3, 4), coordinates=3)
    expected = x.copy()
    expected[..., :2] -= x[..., 3:5]
    expected[..., 3:5] = 0
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_someone_elsewhere_and_larger_is_the_same(rows):
    how = {"relative_to": (4, 5), "standard": "sentence", "velocities": True}
    moved = rows[0] * 1.7 + np.tile([30, -12], 3).astype("float32")
    same = arrange(*rows, **how), arrange(moved, rows[1], **how)
    np.testing.assert_allclose(same[0][0], same[1][0], atol=1e-3)
    np.testing.assert_allclose(same[0][1, :5], same[1][1, :5], atol=1e-3)
    assert abs(same[0][1, :5, :4].mean(0)).max() < 1e-5
    np.testing.assert_allclose(same[0][1, :5, :4].std(0), 1, atol=1e-2)


def test_velocities_end_with_the_sentence(rows):
    x, found = rows[0], arrange(*rows, velocities=True)
    places = np.arange(5)
    ahead, behind = np.minimum(places + 2, 4), np.maximum(places - 2, 0)
    np.testing.assert_allclose(found[1, :5, 6:], x[1, ahead] - x[1, behind], atol=1e-4)
    padded = x.copy()
    padded[1, 5:] = 1e6  # what lies behind the end changes nothing
    np.testing.assert_allclose(arrange(padded, rows[1], velocities=True)[1, :5], found[1, :5])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"relative_to": (4, 5), "coordinates": 4}, "no whole points"),
        ({"relative_to": (5, 6)}, "columns of one point"),
        ({"relative_to": (3, 4)}, "columns of one point"),
        ({"relative_to": (0, 1, 2), "coordinates": 2}, "no whole points"),
    ],
)
def test_what_is_no_point_is_refused(rows, how, message):
    with pytest.raises(ValueError, match=message):
        arrange(*rows, **how)


def test_a_recognizer_arranges_by_itself(rows, tmp_path):
    how = {"relative_to": (4, 5), "standard": "sentence", "velocities": True}
    network = build_recognizer(6, 3, "K5-K5", width=16, arrangement=how)
    seen = [see_rows(network, x[:n], False) for x, n in zip(*rows, strict=True)]
    every = np.concatenate(seen)
    set_statistics(network, every.mean(0), every.var(0))
    network.save(tmp_path / "n.keras")
    again = keras.saving.load_model(tmp_path / "n.keras")
    inputs = {"features": rows[0], "lengths": rows[1]}
    np.testing.assert_allclose(again.predict(inputs), network.predict(inputs), atol=1e-5)
    assert see_rows(again, rows[0][0]).shape == (7, 8)
    moved = {"features": rows[0] + np.tile([9, 5], 3).astype("float32"), "lengths": rows[1]}
    np.testing.assert_allclose(again.predict(moved), network.predict(inputs), atol=1e-3)
