"""The rendered signer: whoever signs, signs differ, and the same numbers give the same frames."""

import itertools

from utils.rendering.signer import SILENT, VARIANTS, _move, find_gloss, render_signing
from utils.rendering.signs import HANDSHAPES, ORIENTATIONS, SIGNS
from utils.signing.rendered_corpus import GLOSSES

import numpy as np
import pytest


def movement(labels, seed=0):
    return _move(labels, 1.0, np.random.default_rng(seed))


def test_there_are_enough_signs_of_all_sorts():
    assert len(GLOSSES) >= 30
    assert "NULL" in GLOSSES
    idle = SIGNS["IX"][1]
    one_handed = [gloss for gloss in GLOSSES if SIGNS[gloss][1] == idle]
    assert min(len(one_handed), len(GLOSSES) - len(one_handed)) >= 12
    for stroke in itertools.chain.from_iterable(SIGNS.values()):
        assert set(stroke.shapes) <= set(HANDSHAPES)
        assert set(stroke.orientations) <= set(ORIENTATIONS)
    used = {shape for strokes in SIGNS.values() for stroke in strokes for shape in stroke.shapes}
    assert used == set(HANDSHAPES)
    assert all(find_gloss(label) in SIGNS for label in VARIANTS)


def test_signs_differ_more_than_performances_of_one():
    """In where the wrists are and how the hands are held, each sign spread over 20 moments."""

    def spread(gloss, seed):
        rows = movement([gloss], seed)
        places = np.linspace(0, len(rows) - 1, 20).round().astype(int)
        scale = np.tile([1.0] * 3 + [0.5] * 5 + [0.05] + [0.5] * 6, 2)
        return (rows[places] * scale).ravel()

    means = {g: np.mean([spread(g, seed) for seed in range(2)], 0) for g in sorted(SIGNS)}
    for gloss in means:
        away = {other: np.linalg.norm(spread(gloss, 9) - mean) for other, mean in means.items()}
        nearest, second = sorted(away, key=away.get)[:2]
        assert nearest == gloss
        assert away[second] > 1.3 * away[gloss], (gloss, second)


def test_neighbors_change_how_a_sign_begins_and_ends():
    def first_frames(labels):
        return movement(labels)[:40]

    low, high = (first_frames(["HEUTE", other, "REGEN"]) for other in ("WAS", "WOLKE"))
    count = min(len(low), len(high))
    apart = np.abs(low[:count] - high[:count])[:, :3].max(1)
    assert apart[:6].max() < 0.2  # before the neighbor matters
    assert apart.max() > 0.6
    steps = np.abs(np.diff(movement(["SONNE", "WEST", "KALT"])[:, :3], axis=0))
    assert steps.max() < 0.6  # no jumps


def test_marks_of_labels_are_performed():
    right, left = movement(["IX"]), movement(["lh-IX"])
    highest = {"right": right[:, [1, 16]].max(0), "left": left[:, [1, 16]].max(0)}
    assert highest["right"][0] > highest["right"][1] + 0.2
    assert highest["left"][1] > highest["left"][0] + 0.2
    assert len(movement(["KOMMEN-PLUSPLUS"])) > len(movement(["KOMMEN"])) + 4
    np.testing.assert_array_equal(movement(["IX", SILENT[0]]), movement(["IX"]))
    assert movement(["__ON__", "IX"])[0, 1] < movement(["IX"])[0, 1] - 0.2  # hands at rest
    np.testing.assert_array_equal(movement(["S0NNE"]), movement(["SONNE"]))


def test_frames_repeat_exactly_and_differ_by_every_argument():
    first = render_signing(["NULL", "IX"], 1, (0, 1))
    assert first.dtype == np.uint8
    assert first.shape[1:] == (260, 210, 3)
    assert 12 < len(first) < 50
    np.testing.assert_array_equal(first, render_signing(["NULL", "IX"], 1, (0, 1)))
    short = {
        "labels": render_signing(["IX", "NULL"], 1, (0, 1), num_frames=5),
        "signer": render_signing(["NULL", "IX"], 2, (0, 1), num_frames=5),
        "seed": render_signing(["NULL", "IX"], 1, (0, 2), num_frames=5),
        "same": render_signing(["NULL", "IX"], 1, (0, 1), num_frames=5),
    }
    assert all(len(frames) == 5 for frames in short.values())
    shown = [frames.tobytes() for frames in short.values()]
    assert len(set(shown)) == len(shown)
    slow = render_signing(["NULL", "IX"], 1, (0, 1), speed=0.5)
    assert len(slow) > 1.6 * len(first)


@pytest.mark.parametrize("gloss", ["IX", "NORD", "WOLKE", "MEIN"])
def test_the_hands_are_seen_in_the_crop_that_networks_see(gloss):
    """Of every sign something moves in the middle 180 x 180 pixels, which survive the crop."""
    frames = render_signing([gloss], 1, (0, 0))[:, 40:220, 15:195].astype(float)
    assert (np.ptp(frames, axis=0).max(-1) > 40).mean() > 0.05, gloss


def test_unknown_labels_are_errors():
    with pytest.raises(ValueError, match=r"No sign for 'NORDD'; known: .*NORD"):
        render_signing(["NORDD"], 1, (0, 0))
    with pytest.raises(ValueError, match="nothing to sign"):
        render_signing(["__EMOTION__"], 1, (0, 0))
