"""Training sentences changed at random, and put together anew from parts of others."""

from utils.signing.row_changes import RowChanges, change_rows, check_points, draw_places
from utils.signing.splicing import Spliced, Splicer

import numpy as np
import pytest

STILL = {"rescale": 0, "drop_rows": 0, "noise": 0}


def change(rows, seed=0, deviation=1.0, **changes):
    generator = np.random.default_rng(seed)
    changes = RowChanges(**STILL | changes)
    return change_rows(rows, changes, 1, np.full(rows.shape[1], deviation), generator)


def test_speed_changes_within_a_sentence():
    places = draw_places(60, RowChanges(**STILL, warp=0.3), 1, np.random.default_rng(0))
    steps = np.diff(places)
    assert len(places) == 60 and (places[0], places[-1]) == (0, 59)
    assert steps.min() > 0.2 and steps.max() > 1.2 and len(np.unique(steps.round(3))) < 15
    same = draw_places(60, RowChanges(**STILL), 1, np.random.default_rng(0))
    np.testing.assert_array_equal(same, np.arange(60))


def test_hidden_rows_lie_on_a_line():
    rows = np.random.default_rng(1).normal(size=(50, 3))
    hidden = change(rows, hide_rows=0.3)
    changed = np.flatnonzero((hidden != rows.astype("float32")).any(1))
    assert 5 < len(changed) <= 30
    bends = np.abs(np.diff(hidden, 2, axis=0)).max(1)
    assert (bends < 1e-5).sum() > len(changed) - 6 and (bends > 0.1).sum() > 15


@pytest.mark.parametrize("seed", range(8))
def test_all_rows_may_be_hidden(seed):
    rows = np.random.default_rng(1).normal(size=(1 + seed % 3, 2))
    assert np.isfinite(change(rows, seed, hide_rows=0.5)).all()


def test_hidden_channels_say_nothing():
    rows = np.random.default_rng(1).normal(size=(20, 40))
    hidden = change(rows, hide_channels=0.3)
    still = np.ptp(hidden, axis=0) < 1e-6
    assert 5 < still.sum() < 20
    np.testing.assert_allclose(hidden[:, ~still], rows[:, ~still], rtol=1e-5)
    np.testing.assert_allclose(hidden[0, still], rows[:, still].mean(0), atol=1e-6)


def test_points_move_together():
    rng = np.random.default_rng(2)
    points = rng.normal(size=(30, 4, 3)) * [50, 50, 0.1] + [300, 200, 0.5]
    rows = points.reshape(30, 12)
    moved = change(rows, deviation=50, affine=0.1, relative_to=(0, 1), coordinates=3)
    moved = moved.reshape(30, 4, 3)
    np.testing.assert_allclose(moved[..., 2], points[..., 2], rtol=1e-5)  # a confidence
    known = np.concatenate([points[..., :2], np.ones((30, 4, 1))], -1).reshape(-1, 3)
    matrix, *_ = np.linalg.lstsq(known, moved[..., :2].reshape(-1, 2), rcond=None)
    apart = known @ matrix - moved[..., :2].reshape(-1, 2)
    assert np.abs(apart).max() < 1e-2 and 1 < np.abs(moved - points).max() < 100
    assert not np.allclose(matrix[:2], np.diag(np.diag(matrix[:2])), atol=1e-3)


def test_what_is_no_point_is_refused():
    for changes in ({}, {"coordinates": 4}):
        with pytest.raises(ValueError, match="affine moves points, but rows of 6 columns"):
            check_points(6, RowChanges(affine=0.1, **changes))
    check_points(6, RowChanges(affine=0.1, relative_to=(4, 5)))
    check_points(6, RowChanges())


class Stored:
    """Rows of a sentence: its place, and the number of the row."""

    def __init__(self, place, count):
        self.rows = np.stack([np.full(count, place), np.arange(count)], 1).astype("float32")

    def load(self):
        return self.rows


LABELS = [[1, 2, 3], [4, 2, 5, 1], [2], []]
ROWS = [30, 48, 12, 9]


def test_new_sentences_say_what_their_parts_do():
    splicer = Splicer(LABELS, ROWS, 1.0, 0, 2)
    stored = [Stored(place, count) for place, count in enumerate(ROWS)]
    found = {}
    for epoch in range(200):
        for index in range(len(LABELS)):
            parts = splicer.draw(index, epoch)
            spelled = splicer.spell(index, parts)
            if parts is None:
                assert spelled == LABELS[index]
                continue
            assert spelled == [part.label for part in parts] and 1 <= len(parts) <= 4
            for part in parts:
                edges = splicer.edges[part.sentence]
                place = edges.tolist().index(part.first)
                assert edges[place + 1] == part.end
                assert LABELS[part.sentence][place] == part.label
            rows = Spliced(parts, stored).load()
            assert len(rows) == sum(part.end - part.first for part in parts) <= max(ROWS)
            found.setdefault(index, set()).add(tuple(spelled))
    assert found[0] >= {(1, 2, 5, 1), (1, 2, 3), (1,)} and 3 not in found
    assert splicer.draw(0, 7) == splicer.draw(0, 7)


def test_few_sentences_are_put_together():
    splicer = Splicer(LABELS, ROWS, 0.3, 0, 2)
    drawn = [splicer.draw(0, epoch) is not None for epoch in range(1000)]
    assert 0.2 < np.mean(drawn) < 0.35


def test_new_sentences_have_steps_enough():
    splicer = Splicer([[1, 2, 3, 4]] * 2, [16, 16], 1.0, 0, 4)  # 16 rows are four steps
    assert all(splicer.draw(0, epoch) is None for epoch in range(50))


def test_seams_do_not_jump():
    splicer = Splicer([[1, 2], [3, 2]], [20, 20], 1.0, 0, 1)
    stored = [Stored(0, 20), Stored(10, 20)]
    drawn = (splicer.draw(0, epoch) for epoch in range(100))
    parts = next(each for each in drawn if each and [part.sentence for part in each] == [0, 1])
    column = Spliced(parts, stored).load()[:, 0]
    assert np.diff(column).max() < 4 and (column[:7], column[13:]) == (
        pytest.approx(0),
        pytest.approx(10),
    )
    assert (stored[0].rows[:, 0] == 0).all()  # what is kept in memory does not change
