"""Maps laid over the frames that they explain: pictures, a video, and numbers a frame."""

from utils.clips.sampling import spread
from utils.pictures.captions import count_lines, write_text
from utils.pictures.saving import save_figure, write_title
from utils.system.files import atomic_path
from utils.system.tables import write_csv
from utils.video.writing import write_video

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import PercentFormatter

SHOWN = 8  # frames of a sheet, at most
SIDE = 256  # pixels of a frame in the video, about
_COLORS = "turbo"
_AT_THE_EDGE = {  # the right one, above a height; both moved by points
    "xycoords": ("axes fraction", "data"),
    "textcoords": "offset points",
    "ha": "right",
    "color": "gray",
}


def _interpolate(centers, length):
    """Return the matrix (length, centers) that interpolates values at the centers linearly."""
    places = np.arange(length)
    return np.stack([np.interp(places, centers, row) for row in np.eye(len(centers))], axis=1)


def resize_maps(maps, centers, frames, frame_size):
    """Interpolate coarse maps to the frames and pixels of a clip; edges are continued.

    Args:
        maps: (segments, time, rows, columns).
        centers: where the places lie, in frames of a segment, and pixels: an array an axis.
        frames: of all segments.
        frame_size: pixels of a frame's side.

    Returns:
        (frames, frame_size, frame_size).
    """
    lengths = (frames // len(maps), frame_size, frame_size)
    for axis, (places, length) in enumerate(zip(centers, lengths, strict=True), 1):
        maps = np.moveaxis(np.tensordot(_interpolate(places, length), maps, (1, axis)), 0, axis)
    return maps.reshape(-1, frame_size, frame_size)


def weigh_frames(maps, centers, frames):
    """Return each frame's share of the maps, (frames,) with a sum of one (zero if nothing is).

    Args:
        maps, centers, frames: as in `resize_maps`.
    """
    matrix = _interpolate(centers[0], frames // len(maps))
    weights = (np.asarray(maps).sum((2, 3)) @ matrix.T).ravel()
    return weights / (weights.sum() or 1)


def _limits(maps):
    """Return the values that are drawn as no heat and as the most; few places have more."""
    return maps.min(), np.quantile(maps, 0.998)


def _scale(maps):
    low, high = _limits(maps)
    return np.clip((maps - low) / (high - low or 1), 0, 1)


def blend(frames, heat):
    """Lay heat over frames, the more of its color the more heat.

    Args:
        frames: uint8 (..., height, width, 3).
        heat: (..., height, width), from 0 to 1.

    Returns:
        uint8 array like the frames.
    """
    colors = 255 * matplotlib.colormaps[_COLORS](heat)[..., :3]
    share = 0.7 * heat[..., None]
    gray = frames.mean(-1, keepdims=True)
    return np.round((1 - share) * (0.5 * frames + 0.5 * gray) + share * colors).astype(np.uint8)


def plot_sheet(path, frames, rows, labels, title):
    """Draw frames over rows of maps laid over them, each row with its own scale.

    Args:
        path: of the PNG.
        frames: uint8 (frames, height, width, 3).
        rows: {name: maps (frames, height, width)}; 1 is the mean of a whole row in its scale.
        labels: a line over each frame.
        title: over all.
    """
    chosen = spread(len(frames), SHOWN)
    count = len(chosen)
    size = (1.5 * count + 1.2, 1.6 * (1 + len(rows)) + 0.8)
    figure, axes = plt.subplots(
        1 + len(rows), count, figsize=size, layout="constrained", squeeze=False
    )
    write_title(figure, title)
    for axis, index in zip(axes[0], chosen, strict=True):
        axis.imshow(frames[index])
        axis.set_title(labels[index], fontsize=9)
    axes[0, 0].set_ylabel("frame")
    for line, (name, maps) in zip(axes[1:], rows.items(), strict=True):
        heat = _scale(maps)
        for axis, index in zip(line, chosen, strict=True):
            axis.imshow(blend(frames[index], heat[index]))
        line[0].set_ylabel(name)
        mean = maps.mean() or 1
        low, high = _limits(maps / mean)
        scale = plt.cm.ScalarMappable(plt.Normalize(low, high), _COLORS)
        figure.colorbar(scale, ax=list(line), label="times the mean", pad=0.01)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    save_figure(figure, path, dpi=110)


def plot_weights(path, seconds, weights, title):
    """Draw how much each frame counts over time; 100 % is what it would if all did alike.

    Args:
        path: of the PNG.
        seconds, weights: (segments, frames); the weights are shares of the whole relevance.
        title: over all.
    """
    figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
    levels = 100 * weights * weights.size
    for times, parts in zip(seconds, levels, strict=True):
        rounds = np.flatnonzero(np.diff(times) < 0) + 1  # a short video is looped
        for part in zip(np.split(times, rounds), np.split(parts, rounds), strict=True):
            axis.plot(*part, marker=".", color="tab:blue")
    axis.axhline(100, color="gray", linestyle=":")
    axis.annotate("all alike", (1, 100), (-4, 3), **_AT_THE_EDGE)
    axis.set(xlabel="seconds", ylabel="relevance\n(all alike: 100 %)")
    write_title(figure, title)
    axis.set_ylim(0, 1.15 * max(levels.max(), 110))  # nothing touches the frame
    axis.yaxis.set_major_formatter(PercentFormatter(decimals=0))
    axis.grid(alpha=0.3)
    save_figure(figure, path, dpi=110)


def save_weights(path, columns, seconds, weights):
    """Write a line a frame, or a row of features: its numbers, when it is, its share.

    Args:
        path: of the CSV.
        columns: {name: a number a frame}, such as of its segment, and of the file's frame.
        seconds, weights: a number a frame each.
    """
    rows = (
        (*numbers, f"{second:.3f}", f"{weight:.6f}")
        for *numbers, second, weight in zip(*columns.values(), seconds, weights, strict=True)
    )
    write_csv(path, (*columns, "seconds", "weight"), rows)


def save_overlay(path, frames, maps, labels, fps):
    """Write a video of the frames with the maps laid over them, beside the frames alone.

    Args:
        path: an .mp4.
        frames: uint8 (frames, height, width, 3).
        maps: (frames, height, width).
        labels: of each frame, the texts over it.
        fps: frames per second.
    """
    factor = max(round(SIDE / frames.shape[1]), 1)
    pairs = np.concatenate([frames, blend(frames, _scale(maps))], axis=2)
    # Lines break between the texts of a frame, not in them.
    texts = [tuple((text.replace(" ", "\u00a0"), "white") for text in own) for own in labels]
    width = factor * pairs.shape[2]
    lines = count_lines(set(texts), width)

    def draw():
        for pair, text in zip(pairs, texts, strict=True):
            large = pair.repeat(factor, axis=0).repeat(factor, axis=1)
            yield np.concatenate([write_text(text, width, lines), large])

    with atomic_path(path) as temporary:
        write_video(temporary, draw(), fps)
