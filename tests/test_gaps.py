"""Rows of points: their layouts, and points that were not found."""

from utils.data.inspection import inspect_features
from utils.features.gaps import Gaps
from utils.features.layouts import load_features

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("shape", "rows"),
    [
        ((9, 21, 3), (9, 63)),  # MediaPipe: frames, points, x y z
        ((1, 9, 17, 2), (9, 34)),  # a person first
        ((9, 1, 17, 3), (9, 51)),  # a person in every frame
        ((1, 21, 2), (1, 42)),  # one frame
        ((9, 3), (9, 3)),
        ((1, 9, 1024), (9, 1024)),  # features
        ((1, 1, 1024), (1, 1024)),
    ],
)
def test_layouts_of_points_and_of_features(tmp_path, shape, rows):
    array = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    np.save(tmp_path / "a.npy", array)
    found = load_features(tmp_path / "a.npy")
    assert found.shape == rows and found.ravel().tolist() == array.ravel().tolist()


def test_several_persons_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 9, 21, 3), "float32"))
    with pytest.raises(ValueError, match=r"\(2, 9, 21, 3\); expected .*points, coordinates"):
        load_features(tmp_path / "a.npy")


def test_a_missing_hand_is_where_it_was_before_and_after():
    rows = np.array([[0, 0, 5, 5], [1, 10, 0, 0], [0, 0, 0, 0], [3, 30, 9, 1]], "float32")
    filled = Gaps("zeros", 2).fill(rows)
    assert filled[:, :2].tolist() == [[1, 10], [1, 10], [2, 20], [3, 30]]
    np.testing.assert_allclose(filled[:, 2], [5, 19 / 3, 23 / 3, 9], rtol=1e-6)
    lost = np.where(rows == 0, np.nan, rows)
    np.testing.assert_array_equal(Gaps("nan", 2).fill(lost), filled)
    assert rows[2].tolist() == [0, 0, 0, 0]  # the file's own stay


def test_one_coordinate_may_be_zero():
    rows = np.array([[0, 7], [0, 0], [0, 9]], "float32")
    assert Gaps("zeros", 2).fill(rows).tolist() == [[0, 7], [0, 8], [0, 9]]


def test_a_point_that_is_never_found_is_told_apart_from_one_at_zero():
    filled = Gaps("zeros", 2).fill(np.array([[1, 2, 0, 0], [3, 4, 0, 0]], "float32"))
    assert filled[:, :2].tolist() == [[1, 2], [3, 4]] and np.isnan(filled[:, 2:]).all()


def test_no_whole_points_are_refused():
    with pytest.raises(ValueError, match="Rows of 5 columns"):
        Gaps("nan", 2).fill(np.zeros((3, 5)))


def test_nan_is_an_error_unless_it_is_asked_for(tmp_path):
    rows = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
    lost = rows.copy()
    lost[1, 2:4] = np.nan
    endless = rows.copy()
    endless[0, 0] = np.inf
    for name, array in (("a", rows), ("b", lost), ("c", endless)):
        np.save(tmp_path / f"{name}.npy", array)
    paths = ["a.mp4", "b.mp4", "c.mp4"]
    found, problems = inspect_features(paths, tmp_path, 1)
    assert list(found) == ["a.mp4"] and len(problems) == 2
    found, problems = inspect_features(paths, tmp_path, 1, Gaps("nan", 2))
    assert list(found) == ["a.mp4", "b.mp4"] and "NaN or infinite" in problems[0][1]
    middle = (rows[0, 2:4] + rows[2, 2:4]) / 2
    np.testing.assert_allclose(found["b.mp4"].load()[1, 2:4], middle, rtol=1e-6)
    assert found["b.mp4"].thin(2).load().shape == (2, 6)
