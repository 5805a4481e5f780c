"""From which confidence on the answers of a classifier can be relied on."""

import numpy as np

WANTED = 0.9  # share of right answers that "can be relied on" stands for


def choose_confidence(confidences, right, wanted=WANTED):
    """Return the lowest confidence from which on enough answers are right; above 1 for none.

    Args:
        confidences: (videos,), the probability of the class that was answered.
        right: (videos,), whether it was the right one.
        wanted: the share that is enough.
    """
    confidences, right = np.asarray(confidences, float), np.asarray(right, float)
    levels = np.unique(confidences)
    enough = [level for level in levels if right[confidences >= level].mean() >= wanted]
    return float(min(enough, default=1.01))
