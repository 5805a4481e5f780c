"""Which videos are alike, from their embeddings."""

from typing import NamedTuple

import numpy as np


class Neighbor(NamedTuple):
    """A video that is near another: its index, their cosine, whether they share a class."""

    index: int
    similarity: float
    agrees: bool


def to_directions(embeddings):
    """Return embeddings (videos, dim) as float32 of length 1."""
    embeddings = np.asarray(embeddings, np.float32)
    return embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)


def nearest(embeddings, groups, k, queries=None):
    """Find the nearest videos by cosine similarity.

    Args:
        embeddings: (videos, dim).
        groups: name of each video's group; neighbors are of other groups. Not used for queries.
        k: neighbors wanted.
        queries: (queries, dim), of no group; None for the videos themselves.

    Returns:
        (indices, similarities), both (queries, at most k), nearest first. Similarities are
        float32, -inf where a video has fewer than k others outside its group.
    """
    known, groups = to_directions(embeddings), np.asarray(groups)
    asked = known if queries is None else to_directions(queries)
    indices, similarities = [], []
    for start in range(0, len(asked), 1024):  # all at once, 100,000 videos would take 40 GB
        cosines = asked[start : start + 1024] @ known.T
        if queries is None:
            cosines[groups[start : start + 1024, None] == groups] = -np.inf
        # NearestNeighbors cannot leave a group out, and gives equally near ones in any order.
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        indices.append(best)
        similarities.append(np.take_along_axis(cosines, best, axis=1))
    return np.concatenate(indices), np.concatenate(similarities)


def list_neighbors(found, count, asked=None):
    """Return a list of `Neighbor` a video, at most so many of other groups, the nearest first.

    Args:
        found: `tasks.classification.embedding.Embeddings`.
        count: how many.
        asked: `Embeddings` of other videos, whose neighbors are wanted; None for the videos' own.
    """
    groups = [example.group for example in found.examples]
    indices, cosines = nearest(found.vectors, groups, count, asked and asked.vectors)
    asking = (asked or found).examples
    return [
        [
            Neighbor(index, cosine, bool(set(example.labels) & set(found.examples[index].labels)))
            for index, cosine in zip(row, near, strict=True)
            if np.isfinite(cosine)
        ]
        for example, row, near in zip(asking, indices.tolist(), cosines.tolist(), strict=True)
    ]
