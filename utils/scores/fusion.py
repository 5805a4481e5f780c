"""Late fusion: two networks' logits become one decision, weighed by what validation says."""

from utils.scores.labelings import LABELINGS, to_probabilities

import numpy as np

_TINY = 1e-7


def _to_logits(labeling, probabilities):
    """Return logits of probabilities, for softmax up to a constant for each example."""
    probabilities = np.clip(probabilities, _TINY, 1 - _TINY)
    rest = 1.0 if LABELINGS[labeling].activation == "softmax" else 1 - probabilities
    return np.log(probabilities / rest)  # scipy's logit differs in the last bit of every third


def fuse(labeling, first, second, weight):
    """Add two networks' logits (Carreira and Zisserman, CVPR 2017, section 2.4), and weigh them.

    Args:
        labeling: a key of `LABELINGS`.
        first, second: probabilities (examples, outputs).
        weight: of the second, from 0 to 1; the first has the rest.

    Returns:
        float32 probabilities (examples, outputs).
    """
    logits = (1 - weight) * _to_logits(labeling, first) + weight * _to_logits(labeling, second)
    return to_probabilities(labeling, logits)


def choose_weight(labeling, targets, first, second):
    """Return the weight of the second network, in hundredths, with the lowest cross-entropy.

    It is convex in the weight: there is one lowest point.

    Args:
        labeling: a key of `LABELINGS`.
        targets: (examples, outputs), from `utils.scores.labelings.encode_targets`.
        first, second: probabilities (examples, outputs).
    """

    def cross_entropy(weight):
        likely = fuse(labeling, first, second, weight)
        if LABELINGS[labeling].activation == "sigmoid":
            likely = np.where(targets > 0.5, likely, 1 - likely)
        else:
            likely = likely[targets > 0.5]
        return -np.log(np.maximum(likely, _TINY)).mean()

    # Equal networks have equal weights everywhere: the first one counts. minimize_scalar would take
    # one at random, and rounded to hundredths another one than the lowest for 3 of 60 drawn pairs.
    return min(np.linspace(0, 1, 101).round(2).tolist(), key=cross_entropy)
