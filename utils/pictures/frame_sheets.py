"""Clips as pictures: frames in rows, optical flow in colors."""

from textwrap import fill
from typing import NamedTuple

from utils.clips.augmentation import restore_rgb
from utils.pictures.lettering import spell
from utils.pictures.saving import save_figure, write_title
from utils.video.flow import FLOW_LIMIT
from utils.video.reading import probe, resized_frames, skim
from utils.video.resampling import shown_at
from utils.video.streams import STREAMS
from utils.video.video import VideoError

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import hsv_to_rgb

_TILE = 1.45  # inches of a frame
_LEAST = 0.6  # inches of a row, for its label
_GAP = 6  # pixels between frames
_LETTERS = 34  # of a label's line


class Strip(NamedTuple):
    """Frames, uint8 (frames, height, width, 3), and what is written beside and over them."""

    label: str
    frames: np.ndarray
    captions: tuple[str, ...] = ()
    color: str = "black"


def paint_rgb(clip, _largest=1.0):
    """Return the uint8 pixels of RGB (..., 3) in [-1, 1]."""
    return restore_rgb(clip)


def paint_flow(clip, largest=1.0):
    """Return optical flow as colors, uint8 (..., 3): the direction is the hue, no motion is white.

    Args:
        clip: (..., 2), x and y.
        largest: motion that gets the full color.
    """
    hue = np.arctan2(clip[..., 1], clip[..., 0]) / (2 * np.pi) % 1
    saturation = np.clip(np.linalg.norm(clip, axis=-1) / largest, 0, 1)
    colors = hsv_to_rgb(np.stack([hue, saturation, np.ones_like(hue)], axis=-1))
    return np.round(255 * colors).astype(np.uint8)


PAINTERS = {"rgb": paint_rgb, "flow": paint_flow}


def find_largest(clips, stream):
    """Return the motion that nearly all of some clips stay below, at least a pixel; 1 without flow.

    Args:
        clips: list of arrays (frames, height, width, channels).
        stream: a key of `utils.video.streams.STREAMS`.
    """
    if not STREAMS[stream].has_flow:
        return 1.0
    channels = STREAMS[stream].parts["flow"]
    motions = [np.linalg.norm(clip[..., channels], axis=-1) for clip in clips]
    return max(float(np.quantile(motions, 0.99)), 1 / FLOW_LIMIT)


def paint_clips(named, stream):
    """Return the rows that show clips as a network is given them.

    Args:
        named: list of (label, captions, float (frames, height, width, channels) in [-1, 1]).
        stream: a key of `utils.video.streams.STREAMS`.

    Returns:
        List of `Strip`, for each clip one, or two of both streams.
    """
    largest = find_largest([clip for _, _, clip in named], stream)
    scale = f"flow, full color: {largest * FLOW_LIMIT:.3g} pixels a frame"
    rows = []
    for label, captions, clip in named:
        for place, (part, channels) in enumerate(STREAMS[stream].parts.items()):
            text = label.splitlines()[0] if place else label
            text += f"\n{scale}" * (part == "flow")
            rows.append(Strip(text, PAINTERS[part](clip[..., channels], largest), captions))
    return rows


def _join(frames, columns):
    """Return frames side by side on white, room for `columns` of them."""
    height, width = frames.shape[1:3]
    strip = np.full((height, columns * (width + _GAP) - _GAP, 3), 255, np.uint8)
    for place, frame in enumerate(frames):
        strip[:, place * (width + _GAP) :][:, :width] = frame
    return strip


def plot_strips(path, rows, title):
    """Draw rows of frames; those of a row are of one size.

    Args:
        path: of the PNG.
        rows: list of `Strip`.
        title: over all.
    """
    columns = max(len(row.frames) for row in rows)
    heights = [
        max(_TILE * row.frames.shape[1] / row.frames.shape[2], _LEAST) + 0.22 for row in rows
    ]
    figure, axes = plt.subplots(
        len(rows),
        1,
        figsize=(_TILE * columns + 2.6, sum(heights) + 0.6),
        height_ratios=heights,
        layout="constrained",
        squeeze=False,
    )
    write_title(figure, title)
    for axis, row in zip(axes[:, 0], rows, strict=True):
        axis.imshow(_join(row.frames, columns))
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        label = "\n".join(fill(spell(line), _LETTERS) for line in row.label.splitlines())
        how = {"rotation": 0, "ha": "right", "va": "center", "fontsize": 8}
        axis.set_ylabel(label, color=row.color, **how)
        width = row.frames.shape[2]
        for place, caption in enumerate(row.captions):
            axis.text(place * (width + _GAP), -0.02 * width, caption, fontsize=7)
    save_figure(figure, path, dpi=100, tight=True)


def read_spread(path, count, side):
    """Read frames of a video, evenly spread, without decoding all of it.

    Args:
        path: a video, or a folder of images; it need not be there.
        count: of the frames, at most.
        side: pixels of their longer side, at most.

    Returns:
        (uint8 RGB (frames, height, width, 3), ""), or (none of them, why).
    """
    try:
        return skim(path, count, side)[2][:, 0], ""
    except VideoError as error:
        return np.empty((0, side, side, 3), np.uint8), f"No frames are shown: {error}"


_SIDE = 160  # pixels of a frame's shorter side


def read_moments(path, seconds, image_fps):
    """Read the frames of a video that are shown at given times.

    Args:
        path: a video, or a folder of images.
        seconds: when.
        image_fps: of folders of images.

    Returns:
        (uint8 (times, height, width, 3), RGB; ""), or ([], why there are none).
    """
    try:
        video = probe(path).play_images_at(image_fps)
        shown = shown_at(video.frame_times, seconds)
        wanted, places = np.unique(shown, return_inverse=True)
        frames = list(resized_frames(video, wanted, _SIDE))
    except VideoError as error:
        return [], f"No frames are shown: {error}"
    return np.stack(frames)[places], ""
