"""Rows of features: which frames they see, when, and the chunks they are computed in."""

from utils.features.rows import EDGES, plan_chunks, plan_rows, row_edges, row_starts, row_times

import numpy as np
import pytest


def test_replicate_gives_a_row_for_every_stride_frames():
    assert row_starts(10, 16, 4, "replicate").tolist() == [-6, -2, 2]
    assert row_starts(9, 8, 3, "replicate").tolist() == [-3, 0, 3]  # half a frame early
    assert row_starts(5, 2, 4, "replicate").tolist() == [1, 5]
    rows = plan_rows(10, 16, 4, "replicate")
    assert rows[0].tolist() == [0] * 7 + list(range(1, 10))
    assert rows[2].tolist() == list(range(2, 10)) + [9] * 8
    assert row_times(row_starts(10, 16, 4, "replicate"), 16, 25).tolist() == [0.08, 0.24, 0.4]


def test_drop_keeps_whole_windows():
    assert row_starts(24, 16, 4, "drop").tolist() == [0, 4, 8]
    assert row_starts(23, 16, 4, "drop").tolist() == [0, 4]
    assert plan_rows(16, 16, 4, "drop").tolist() == [list(range(16))]
    assert row_times(row_starts(16, 16, 4, "drop"), 16, 25).tolist() == [0.32]
    with pytest.raises(ValueError, match="15 frames after resampling, fewer than the window of 16"):
        row_starts(15, 16, 4, "drop")


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("stride", [1, 3, 4, 20])
def test_rows_stay_inside_and_keep_their_stride(edges, stride):
    assert len(plan_rows(1, 16, stride, "replicate")) == 1


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("stride", [1, 3, 4, 20])
@pytest.mark.parametrize("num_frames", [16, 17, 40])
def test_rows_stay_inside_at_every_length(edges, stride, num_frames):
    rows = plan_rows(num_frames, 16, stride, edges)
    assert 0 <= rows.min() <= rows.max() < num_frames
    assert set(np.diff(row_starts(num_frames, 16, stride, edges))) <= {stride}


def test_times_of_an_uneven_file():
    begins = np.array([0.0, 0.4, 0.44, 0.48, 0.6])  # the last is the file's end
    starts = row_starts(4, 2, 1, "drop")
    assert row_times(starts, 2, 0, begins).tolist() == [0.4, 0.44, 0.48]
    assert row_times(np.array([0]), 1, 0, begins).tolist() == [0.2]


def test_rows_end_where_their_neighbors_begin():
    times = row_times(row_starts(10, 16, 4, "replicate"), 16, 25)
    np.testing.assert_allclose(row_edges(times), [0, 0.16, 0.32, 0.48])
    np.testing.assert_allclose(row_edges([0.1, 0.5, 0.6]), [0, 0.3, 0.55, 0.65])
    np.testing.assert_allclose(row_edges([1, 1.5]), [0.75, 1.25, 1.75])
    assert row_edges([0.32]).tolist() == [0, 0.64]


def test_chunks_hold_each_row_once():
    assert list(plan_chunks(13, 16, 4, (128, 64, 32))) == [(0, 13, 64)]
    assert list(plan_chunks(40, 16, 4, (128, 64, 32))) == [(0, 29, 128), (29, 11, 64)]
    assert list(plan_chunks(3, 16, 4, (16,))) == [(0, 1, 16), (1, 1, 16), (2, 1, 16)]
    for stride in (1, 3, 8, 50):
        for count in (1, 2, 57):
            rows = []
            for first, number, length in plan_chunks(count, 24, stride, (128, 64, 32)):
                rows += range(first, first + number)
                assert (number - 1) * stride + 24 <= length
            assert rows == list(range(count))


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="stride is 0"):
        row_starts(10, 16, 0, "drop")
    with pytest.raises(ValueError, match="Unknown edges 'cut'; known: replicate, drop"):
        row_starts(10, 16, 4, "cut")
