"""The language model of label sequences, and the search that it weighs."""

import itertools
import math

from models.ctc import decode
from models.language import END, Language, NgramModel
from test_ctc import brute_force

import numpy as np
import pytest

pytestmark = pytest.mark.models
SEQUENCES = [[1, 2, 3], [1, 2], [2, 3, 3], [3, 1, 2], [1], [1, 2, 1], []]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_what_may_follow_adds_up_to_one(order):
    model = NgramModel(SEQUENCES, order, 5)  # labels 4 and 5 are in no sequence
    histories = [(), (1,), (1, 2), (2, 3, 3), (4,), (4, 1), (5, 5, 5, 5)]
    for history in histories:
        chances = [model.probability(label, history) for label in (1, 2, 3, 4, 5, END)]
        assert sum(chances) == pytest.approx(1)
        assert min(chances) > 0


def test_probabilities_by_hand():
    """Two sequences, A B and A C: order 2, counted on paper."""
    model = NgramModel([[1, 2], [1, 3]], 2, 3)
    # Bigrams: <s> A twice; A B, A C, B </s>, C </s> once: discount 4 / (4 + 2).
    # They end in A once, B once, C once, </s> twice: n1 3, n2 1, discount 3 / 5, total 5.
    d2, d1 = 4 / 6, 3 / 5
    lowest = d1 * 4 / 5 / 4  # of the discounts each of the 4 labels gets this
    b, end = (1 - d1) / 5 + lowest, (2 - d1) / 5 + lowest
    assert model.probability(2, (1,)) == pytest.approx((1 - d2) / 2 + d2 * 2 / 2 * b)
    assert model.probability(1, ()) == pytest.approx((2 - d2) / 2 + d2 * 1 / 2 * b)  # A as B
    assert model.probability(END, (1, 2)) == pytest.approx((1 - d2) / 1 + d2 * end)
    assert model.probability(1, (2,)) == pytest.approx(d2 * b)  # never seen


def test_order_and_sequences_are_needed():
    with pytest.raises(ValueError, match="order is 0"):
        NgramModel(SEQUENCES, 0, 3)
    with pytest.raises(ValueError, match="0 sequences"):
        NgramModel([], 2, 3)


@pytest.mark.parametrize(("weight", "bonus"), [(0.0, 0.0), (0.7, 0.5), (2.0, -1.0)])
def test_search_finds_the_best_of_both(weight, bonus):
    """A wide beam against brute force over all label sequences."""
    logits = np.random.default_rng(3).normal(0, 1.5, (6, 5, 4)).astype("float32")
    language = Language(NgramModel(SEQUENCES, 3, 3), weight, bonus)

    def rate(labels, chance):
        parts = itertools.pairwise([*range(len(labels) + 1), None])
        said = sum(
            language.weigh(END if end is None else labels[start], labels[:start])
            for start, end in parts
        )
        return math.log(chance) + said

    found = decode(logits, [5] * 6, 500, language=language)
    for example, labels in zip(logits, found, strict=True):
        totals = brute_force(example)
        assert tuple(labels) == max(totals, key=lambda each: rate(each, totals[each]))


def test_language_decides_what_the_network_leaves_open():
    logits = np.zeros((1, 3, 4), "float32")
    logits[0, 0, 1] = logits[0, 2, 2] = logits[0, 2, 3] = 5.0  # 1, then 2 or 3
    logits[0, 1, 0] = 9.0
    trained = [[1, 3]] * 5 + [[2, 1]]
    assert decode(logits, [3], 10, language=Language(NgramModel(trained, 2, 3), 1.0, 0.0)) == [
        [1, 3]
    ]
    trained = [[1, 2]] * 5 + [[3, 1]]
    assert decode(logits, [3], 10, language=Language(NgramModel(trained, 2, 3), 1.0, 0.0)) == [
        [1, 2]
    ]
