"""A baseline without a network: the glosses of the most similar training sentence.

Similar by dynamic time warping (Sakoe and Chiba, 1978), all sentences brought to one length.
"""

from utils.signing.row_changes import interpolate_rows

import numpy as np

POINTS = 40  # rows of a sentence that are compared, spread evenly over it


def spread_rows(rows, count=POINTS):
    """Return so many rows spread evenly over a sentence, between neighbors interpolated.

    Args:
        rows: float (rows, dim).
        count: rows to return.

    Returns:
        float32 (count, dim).
    """
    return interpolate_rows(rows, np.linspace(0, len(rows) - 1, count)).astype("float32")


def warp_distances(query, sentences):
    """Return how far a sentence is from others by dynamic time warping.

    Args:
        query: float32 (points, dim).
        sentences: float32 (sentences, points, dim).

    Returns:
        float32 (sentences,): the least sum of Euclidean distances along a path through both, whose
        steps go on by one row in either or in both.
    """
    squares = np.einsum("npd,npd->np", sentences, sentences)
    apart = squares[:, None] + np.sum(query**2, 1)[:, None] - 2 * (query @ sentences.swapaxes(1, 2))
    apart = np.sqrt(np.maximum(apart, 0)).transpose(1, 2, 0)  # (query's points, points, sentences)
    above = np.cumsum(apart[0], axis=0)
    for row in apart[1:]:
        best = np.minimum(above, np.concatenate([above[:1], above[:-1]]))
        reached = np.empty_like(above)
        reached[0] = best[0] + row[0]
        for place in range(1, len(row)):
            reached[place] = np.minimum(best[place], reached[place - 1]) + row[place]
        above = reached
    return above[-1]


def find_nearest(queries, sentences):
    """Return the place of the most similar sentence for each query, int (queries,).

    Args:
        queries: list of float (rows, dim).
        sentences: the same, to search in.
    """
    known = np.stack([spread_rows(rows) for rows in sentences])
    found = [int(warp_distances(spread_rows(rows), known).argmin()) for rows in queries]
    return np.array(found, int)
