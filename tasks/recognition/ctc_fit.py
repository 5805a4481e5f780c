"""Whether a corpus' rows come often enough for CTC, and how to fix it if they do not."""

from models.ctc import count_needed_steps, find_impossible
from models.recognizer import POOLING_FRONTS, choose_front, count_pooled, output_lengths

import numpy as np

MOST_IMPOSSIBLE = 0.01  # share of the training sentences


def _share_impossible(needed, rows, front):
    return float(np.mean(output_lengths(rows, front) < needed))


def advise_stride(needed, rows, stride, row_step=1):
    """Say how rows would have to be taken or extracted, for CTC to spell nearly all sentences.

    Args:
        needed: steps that each needs, int array.
        rows: of each.
        stride: of the rows in frames; None if unknown.
        row_step: of the features' rows, every so-manyth is one of these.
    """
    for new in (new for new in (8, 4, 2, 1) if new < (stride or 16)):
        factor = (stride or 16) / new
        most = count_pooled(choose_front(new if stride else 4))
        fitting = (
            front
            for front in POOLING_FRONTS
            if count_pooled(front) <= most
            and _share_impossible(needed, (rows * factor).astype(int), front) <= MOST_IMPOSSIBLE
        )
        if front := next(fitting, ""):
            if row_step % factor == 0:
                return f"Give --row-step {row_step / factor:g}; --front {front} fits those."
            how = f"--stride {int(new)}" if stride else f"{factor:g} times as many rows"
            return f"Extract the features again with {how}; --front {front} fits those."
    return "No stride would be enough. Are these the features of other videos?"


def drop_impossible(sentences, labels, rows, front, stride, row_step=1):
    """Find the training sentences that have fewer steps than their glosses need.

    Args:
        sentences: of training.
        labels: of each, as classes.
        rows: of each, int array.
        front: a key of `FRONTS`.
        stride, row_step: as in `advise_stride`.

    Returns:
        [(id, reason)] of them.

    Raises:
        ValueError: they are more than `MOST_IMPOSSIBLE`; the message says which stride would do.
    """
    steps = output_lengths(rows, front)
    found = find_impossible(labels, steps)
    needed = np.array([count_needed_steps(each) for each in labels])
    if len(found) <= MOST_IMPOSSIBLE * len(sentences):
        return [
            (sentences[i].id, f"{steps[i]} time steps, but its glosses need {needed[i]}")
            for i in found
        ]
    worst = sentences[found[0]].id, steps[found[0]], needed[found[0]]
    pooled = _share_impossible(needed, rows, "K5-K5") <= MOST_IMPOSSIBLE
    mend = "Give --front K5-K5." if pooled else advise_stride(needed, rows, stride, row_step)
    raise ValueError(
        f"{len(found)} of {len(sentences)} training sentences "
        f"({len(found) / len(sentences):.1%}) have fewer time steps than their glosses "
        f"need (such as {worst[0]}: {worst[1]} steps, {worst[2]} needed), with rows of "
        f"stride {stride or 'unknown'} and front {front}. CTC cannot learn them. {mend}"
    )
