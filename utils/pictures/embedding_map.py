"""A map of videos, from their embeddings: what is alike lies near each other."""

from utils.pictures.lettering import spell
from utils.pictures.saving import save_figure
from utils.scores.neighbors import to_directions

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

_MARKERS = {"": "o", "train": "o", "val": "^", "test": "s"}


def project(embeddings):
    """Lay embeddings out in a plane: t-SNE of their directions, PCA when fewer than 10.

    van der Maaten and Hinton, JMLR 2008, from a fixed seed.

    Args:
        embeddings: (videos, dim), at least two of both.

    Returns:
        float array (videos, 2).
    """
    directions = to_directions(embeddings)
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
    return plt.Line2D([], [], linestyle="", marker=marker, color=color, label=spell(name))


def plot_map(points, labels, splits, path):
    """Draw videos as points, a color a label and a marker a split.

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
    save_figure(figure, path, tight=True)
