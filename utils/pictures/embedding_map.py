"""A map of videos, from their embeddings: what is alike lies near each other."""

from utils.pictures.lettering import spell
from utils.pictures.saving import save_figure, write_title
from utils.scores.neighbors import to_directions

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

_SIZE = (8, 7)  # inches of the map
_PICTURE = 0.62  # inches of the longer side of a video's frame on it
_EDGE = {"linewidths": 0.6, "edgecolors": "white"}  # of a point on a picture
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


def choose_colors(count):
    """Return so many colors that can be told apart, floats from 0 to 1."""
    if count <= 10:
        return plt.cm.tab10.colors[:count]
    if count <= 40:
        return (*plt.cm.tab20.colors, *plt.cm.tab20b.colors)[:count]
    return plt.cm.gist_rainbow(np.linspace(0, 1, count))


def _entry(name, color, marker):
    return plt.Line2D([], [], linestyle="", marker=marker, color=color, label=spell(name))


def scatter_apart(points, gap):
    """Return the indices of points of which none is nearer to another than a gap, in x and y.

    Args:
        points: (points, 2), from 0 to 1.
        gap: (2,), of the same scale.
    """
    chosen = []
    for index, point in enumerate(points):
        if not chosen or (np.abs(points[chosen] - point) >= gap).any(1).all():
            chosen.append(index)
    return chosen


def scale_points(points):
    """Return points (videos, 2) moved and stretched to lie between 0 and 1."""
    low, high = points.min(0), points.max(0)
    return (points - low) / np.where(high > low, high - low, 1)


def _draw_pictures(axis, points, frames):
    """Draw frames in the middle of their points, as many as have room."""
    known = sorted(frames)
    places = scale_points(points)[known]
    for place in scatter_apart(places, _PICTURE / np.array(_SIZE)):
        index = known[place]
        zoom = 72 * _PICTURE / max(frames[index].shape[:2])
        picture = OffsetImage(frames[index], zoom=zoom)
        axis.add_artist(AnnotationBbox(picture, points[index], pad=0.1, zorder=1))


def plot_map(points, labels, splits, path, title, frames):
    """Draw videos as points, a color a label and a marker a split, and frames of some of them.

    Args:
        points: (videos, 2), from `project`.
        labels, splits: a name a video; the split may be "".
        path: of the PNG.
        title: over all.
        frames: {index of a video: uint8 RGB (height, width, 3)}, of those that can be shown.
    """
    labels, splits, names = np.array(labels), np.array(splits), sorted(set(labels))
    colors = choose_colors(len(names))
    figure, axis = plt.subplots(figsize=_SIZE, layout="constrained")
    write_title(figure, title)
    _draw_pictures(axis, points, frames)
    for name, color in zip(names, colors, strict=True):
        for split, marker in _MARKERS.items():
            chosen = points[(labels == name) & (splits == split)]
            axis.scatter(*chosen.T, s=30, color=color, marker=marker, alpha=0.9, zorder=2, **_EDGE)
    axis.margins(0.07)
    axis.set(xticks=[], yticks=[], title="near each other: alike to the network")
    shown = [split for split in _MARKERS if split and split in splits]
    handles = [_entry(name, color, "o") for name, color in zip(names, colors, strict=True)]
    handles += [_entry(split, "black", _MARKERS[split]) for split in shown]
    columns = -(-len(handles) // 24)
    axis.legend(handles=handles, ncols=columns, loc="upper left", bbox_to_anchor=(1.01, 1))
    save_figure(figure, path, tight=True)
