"""Maps laid over the frames that they explain: pictures, a video, and numbers a frame."""

import csv
from functools import lru_cache

import matplotlib

matplotlib.use("Agg")
from utils.files import atomic_path
from utils.sampling import spread
from utils.video import frame_times, probe, resized_frames, write_video

import matplotlib.pyplot as plt
import numpy as np

SHOWN = 8  # frames of a sheet, at most
SIDE = 256  # pixels of a frame in the video, about
_CAPTIONED = 360  # pixels of the shorter side of a video with captions, at most
_COLOURS = "turbo"
_LABEL_COLOURS = matplotlib.colormaps["tab10"]


def _interpolate(centres, length):
    """Return the matrix (length, centres) that interpolates values at the centres linearly."""
    places = np.arange(length)
    return np.stack([np.interp(places, centres, row) for row in np.eye(len(centres))], axis=1)


def resize_maps(maps, centres, frames, frame_size):
    """Interpolate coarse maps to the frames and pixels of a clip; edges are continued.

    Args:
        maps: (segments, time, rows, columns).
        centres: where the places lie, in frames of a segment, and pixels: an array an axis.
        frames: of all segments.
        frame_size: pixels of a frame's side.

    Returns:
        (frames, frame_size, frame_size).
    """
    lengths = (frames // len(maps), frame_size, frame_size)
    for axis, (places, length) in enumerate(zip(centres, lengths, strict=True), 1):
        maps = np.moveaxis(np.tensordot(_interpolate(places, length), maps, (1, axis)), 0, axis)
    return maps.reshape(-1, frame_size, frame_size)


def weigh_frames(maps, centres, frames):
    """Return each frame's share of the maps, (frames,) with a sum of one (zero if nothing is).

    Args:
        maps, centres, frames: as in `resize_maps`.
    """
    matrix = _interpolate(centres[0], frames // len(maps))
    weights = (np.asarray(maps).sum((2, 3)) @ matrix.T).ravel()
    return weights / (weights.sum() or 1)


def _limits(maps):
    """Return the values that are drawn as no heat and as the most; few places have more."""
    return maps.min(), np.quantile(maps, 0.998)


def _scale(maps):
    low, high = _limits(maps)
    return np.clip((maps - low) / (high - low or 1), 0, 1)


def blend(frames, heat):
    """Lay heat over frames, the more of its colour the more heat.

    Args:
        frames: uint8 (..., height, width, 3).
        heat: (..., height, width), from 0 to 1.

    Returns:
        uint8 array like the frames.
    """
    colours = 255 * matplotlib.colormaps[_COLOURS](heat)[..., :3]
    share = 0.7 * heat[..., None]
    grey = frames.mean(-1, keepdims=True)
    return np.round((1 - share) * (0.5 * frames + 0.5 * grey) + share * colours).astype(np.uint8)


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
    size = (max(1.5 * count + 1.2, 0.085 * len(title)), 1.6 * (1 + len(rows)) + 0.8)
    figure, axes = plt.subplots(
        1 + len(rows), count, figsize=size, layout="constrained", squeeze=False
    )
    figure.suptitle(title)
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
        scale = plt.cm.ScalarMappable(plt.Normalize(low, high), _COLOURS)
        figure.colorbar(scale, ax=list(line), label="times the mean", pad=0.01)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)


def plot_weights(path, seconds, weights, title):
    """Draw each frame's share over time, segments apart, and the share that all would have alike.

    Args:
        path: of the PNG.
        seconds, weights: (segments, frames).
        title: over all.
    """
    figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
    for times, shares in zip(seconds, weights, strict=True):
        rounds = np.flatnonzero(np.diff(times) < 0) + 1  # a short video is looped
        for part in zip(np.split(times, rounds), np.split(shares, rounds), strict=True):
            axis.plot(*part, marker=".", color="tab:blue")
    axis.axhline(1 / weights.size, color="grey", linestyle=":", label="all alike")
    axis.set(xlabel="seconds", ylabel="share of the relevance", title=title)
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)


def save_weights(path, columns, seconds, weights):
    """Write a line a frame, or a row of features: its numbers, when it is, its share.

    Args:
        path: of the CSV.
        columns: {name: a number a frame}, such as of its segment, and of the file's frame.
        seconds, weights: a number a frame each.
    """
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, "seconds", "weight"])
        for *numbers, second, weight in zip(*columns.values(), seconds, weights, strict=True):
            writer.writerow([*numbers, f"{second:.3f}", f"{weight:.6f}"])


@lru_cache(maxsize=32)
def _write_line(text, width, height=36):
    """Return white text on black, uint8 (height, width, 3)."""
    figure = plt.figure(figsize=(width / 100, height / 100), dpi=100, facecolor="black")
    figure.text(0.5, 0.5, text, color="white", fontsize=8, ha="center", va="center")
    figure.canvas.draw()
    image = np.asarray(figure.canvas.buffer_rgba())[:height, :width, :3].copy()
    plt.close(figure)
    return image


def save_overlay(path, frames, maps, labels, fps):
    """Write a video of the frames with the maps laid over them, beside the frames alone.

    Browsers play it.

    Args:
        path: an .mp4.
        frames: uint8 (frames, height, width, 3).
        maps: (frames, height, width).
        labels: a line over each frame.
        fps: frames per second.
    """
    factor = max(round(SIDE / frames.shape[1]), 1)
    pairs = np.concatenate([frames, blend(frames, _scale(maps))], axis=2)

    def draw():
        for pair, label in zip(pairs, labels, strict=True):
            large = pair.repeat(factor, axis=0).repeat(factor, axis=1)
            large = large[: len(large) // 2 * 2]  # codecs want even sides
            yield np.concatenate([_write_line(label, large.shape[1]), large])

    with atomic_path(path) as temporary:
        write_video(temporary, draw(), fps, "vp09")


def _place_lanes(intervals):
    """Return the lane of each interval, so that no two overlap in one."""
    ends, lanes = [], []
    for each in intervals:
        free = (lane for lane, end in enumerate(ends) if end <= each.start)
        lane = next(free, len(ends))
        ends[lane:] = [each.end, *ends[lane + 1 :]]
        lanes.append(lane)
    return lanes


def colour_labels(intervals):
    """Return {label: its colour, float (3,) from 0 to 1}, in the order of the intervals."""
    labels = dict.fromkeys(each.label for each in intervals)
    return {label: np.array(_LABEL_COLOURS(place % 10)[:3]) for place, label in enumerate(labels)}


def draw_timeline(intervals, duration, width, height=24):
    """Draw intervals from left to right, a colour a label, those that overlap one over another.

    Args:
        intervals: list of `utils.intervals.Interval`, by their starts.
        duration: seconds of the whole width.
        width, height: pixels.

    Returns:
        (uint8 (height, width, 3), {label: its colour, from 0 to 1}).
    """
    colours = colour_labels(intervals)
    bar, lanes = np.full((height, width, 3), 40, np.uint8), _place_lanes(intervals)
    edges = np.linspace(0, height, max(lanes, default=0) + 2).astype(int)
    for each, lane in zip(intervals, lanes, strict=True):
        left, right = (round(seconds / duration * width) for seconds in (each.start, each.end))
        rows = slice(edges[lane], max(edges[lane] + 1, edges[lane + 1] - 1))
        bar[rows, left : max(right - 1, left + 1)] = 255 * colours[each.label]
    return bar, colours


def caption_frames(frames, intervals, duration):
    """Add to frames the labels of their moment and a timeline with a mark where they are.

    Args:
        frames: iterable of (seconds, uint8 RGB (height, width, 3)).
        intervals: list of `utils.intervals.Interval`, by their starts.
        duration: seconds of the video.

    Yields:
        uint8 (height + 60, width, 3), even sides.
    """
    bar = None
    for seconds, frame in frames:
        frame = frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2]
        width = frame.shape[1]
        if bar is None:
            bar, colours = draw_timeline(intervals, duration, width)
        now = [each for each in intervals if each.start <= seconds < each.end]
        line = _write_line("   ".join(f"{each.label} {each.score:.2f}" for each in now), width)
        if now:
            line = np.round(line * colours[now[0].label]).astype(np.uint8)
        marked = bar.copy()
        place = min(round(seconds / duration * width), width - 2)
        marked[:, place : place + 2] = 255
        yield np.concatenate([frame, line, marked])


def save_captions(path, video, intervals, duration, subtitles=False):
    """Write a video with its labels and a timeline.

    Args:
        path: an .mp4, .avi or .webm.
        video: the video's path.
        intervals, duration: as of `caption_frames`.
        subtitles: whether a label stays until the next one begins, as glosses should.

    Raises:
        VideoError: the video cannot be read, or the file cannot be written.
    """
    info = probe(video)
    if subtitles:
        ends = [*(each.start for each in intervals[1:]), duration]
        intervals = [each._replace(end=end) for each, end in zip(intervals, ends, strict=True)]
    side = min(_CAPTIONED, info.height, info.width)
    frames = (frame[..., ::-1] for frame in resized_frames(video, range(info.num_frames), side))
    captioned = caption_frames(zip(frame_times(info), frames, strict=True), intervals, duration)
    with atomic_path(path) as temporary:
        write_video(temporary, captioned, info.fps)
