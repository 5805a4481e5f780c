"""A language model of label sequences: which label follows which, learned from training sequences.

Interpolated Kneser-Ney smoothing (Kneser and Ney, ICASSP 1995; Chen and Goodman, 1999, equation
20), each order's discount estimated from how many n-grams occur once and twice.
"""

from collections import Counter, defaultdict
from math import log
from typing import NamedTuple

_BEGIN, END = "<s>", "</s>"


class NgramModel:
    """Probabilities of the next label, from the `order` - 1 before it.

    Args:
        sequences: of labels, for training.
        order: of the model; 1 knows how often labels are, 2 also what follows what.
        num_labels: that there are, known from training or not.

    Raises:
        ValueError: no sequence, or an order below 1.
    """

    def __init__(self, sequences, order, num_labels):
        if order < 1 or not sequences:
            raise ValueError(f"order is {order}, with {len(sequences)} sequences; give 1 or more.")
        self.order, self.num_labels = order, num_labels
        counts = Counter()
        for sequence in sequences:
            padded = [_BEGIN] * (order - 1) + [*sequence, END]
            counts.update(tuple(padded[i : i + order]) for i in range(len(sequence) + 1))
        self._levels, self._found = [None] * order, {}
        for level in reversed(range(order)):
            followers = defaultdict(dict)
            for ngram, count in counts.items():
                followers[ngram[:-1]][ngram[-1]] = count
            self._levels[level] = dict(followers), _estimate_discount(counts.values())
            # Of shorter n-grams it counts after how many labels they occur, not how often.
            counts = Counter(ngram[1:] for ngram in counts)

    def probability(self, label, before):
        """Return the probability that a label, or `END`, comes after a tuple of labels."""
        known = min(len(before), self.order - 1)
        history = before[len(before) - known :]
        history = (_BEGIN,) * (self.order - 1 - known) + history
        if (label, history) not in self._found:
            self._found[label, history] = self._smooth(label, history)
        return self._found[label, history]

    def _smooth(self, label, history):
        shorter = self._smooth(label, history[1:]) if history else 1 / (self.num_labels + 1)
        followers, discount = self._levels[len(history)]
        counts = followers.get(history)
        if not counts:
            return shorter
        total = sum(counts.values())
        own = max(counts.get(label, 0) - discount, 0)
        return (own + discount * len(counts) * shorter) / total


def _estimate_discount(counts):
    """Return n1 / (n1 + 2 n2) of the n-grams that occur once and twice (Ney et al., 1994)."""
    found = Counter(counts)
    return found[1] / (found[1] + 2 * found[2]) if found[1] and found[2] else 0.5


class Language(NamedTuple):
    """How a search weighs what it says with a language model.

    Attributes:
        model: an `NgramModel`.
        weight: of its logarithm beside that of the network's probability.
        bonus: that is added for each label: against sequences that are too short.
    """

    model: NgramModel
    weight: float
    bonus: float

    def weigh(self, label, before):
        """Return what a label, or `END`, adds to the logarithm of a sequence's probability."""
        bonus = 0.0 if label == END else self.bonus
        return self.weight * log(self.model.probability(label, before)) + bonus
