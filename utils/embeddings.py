"""Which videos are alike, from their embeddings: nearest neighbours, and a map of all."""

import matplotlib

matplotlib.use("Agg")
from utils.system.files import atomic_path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

_MARKERS = {"": "o", "train": "o", "val": "^", "test": "s"}


def _normalize(embeddings):
    embeddings = np.asarray(embeddings, np.float32)
    return embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)


def nearest(embeddings, groups, k, queries=None):
    """Find the nearest videos by cosine similarity.

    Args:
        embeddings: (videos, dim).
        groups: name of each video's group; neighbours are of other groups. Not used for queries.
        k: neighbours wanted.
        queries: (queries, dim), of no group; None for the videos themselves.

    Returns:
        (indices, similarities), both (queries, at most k), nearest first. Similarities are
        float32, -inf where a video has fewer than k others outside its group.
    """
    known, groups = _normalize(embeddings), np.asarray(groups)
    asked = known if queries is None else _normalize(queries)
    indices, similarities = [], []
    for start in range(0, len(asked), 1024):  # all at once, 100,000 videos would take 40 GB
        cosines = asked[start : start + 1024] @ known.T
        if queries is None:
            cosines[groups[start : start + 1024, None] == groups] = -np.inf
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        indices.append(best)
        similarities.append(np.take_along_axis(cosines, best, axis=1))
    return np.concatenate(indices), np.concatenate(similarities)


def project(embeddings):
    """Lay embeddings out in a plane: t-SNE of their directions, PCA when fewer than 10.

    van der Maaten and Hinton, JMLR 2008, from a fixed seed.

    Args:
        embeddings: (videos, dim), at least two of both.

    Returns:
        float array (videos, 2).
    """
    directions = _normalize(embeddings)
    if len(directions) < 10:
        return PCA(2).fit_transform(directions)
    perplexity = min(30, (len(directions) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(directions)


def _choose_colors(count):
    if count <= 10:
        return plt.cm.tab10.colors[:count]
    if count <= 40:
        return (*plt.cm.tab20.colors, *plt.cm.tab20b.colors)[:count]
    return plt.cm.gist_rainbow(np.linspace(0, 1, count))


def _entry(name, color, marker):
    return plt.Line2D([], [], linestyle="", marker=marker, color=color, label=name)


def plot_map(points, labels, splits, path):
    """Draw videos as points, a colour a label and a marker a split.

    Args:
        points: (videos, 2), from `project`.
        labels, splits: a name a video; the split may be "".
        path: of the PNG.
    """
    labels, splits, names = np.array(labels), np.array(splits), sorted(set(labels))
    colors = _choose_colors(len(names))
    figure, axis = plt.subplots(figsize=(8, 7))
    for name, color in zip(names, colors, strict=True):
        for split, marker in _MARKERS.items():
            chosen = points[(labels == name) & (splits == split)]
            axis.scatter(*chosen.T, s=30, color=color, marker=marker, alpha=0.8, linewidths=0)
    axis.set(xticks=[], yticks=[], title="near each other: alike to the network")
    shown = [split for split in _MARKERS if split and split in splits]
    handles = [_entry(name, color, "o") for name, color in zip(names, colors, strict=True)]
    handles += [_entry(split, "black", _MARKERS[split]) for split in shown]
    columns = -(-len(handles) // 24)
    axis.legend(handles=handles, ncols=columns, loc="upper left", bbox_to_anchor=(1.01, 1))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, bbox_inches="tight")
    plt.close(figure)
