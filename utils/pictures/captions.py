"""Labels written over a video: those of each moment, and a timeline of all."""

from functools import lru_cache

from utils.pictures.lettering import find_font, spell
from utils.system.files import atomic_path
from utils.video.reading import probe, resized_frames
from utils.video.writing import write_video

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_CAPTIONED = 360  # pixels of the shorter side of a video with captions, at most
_LABEL_COLORS = matplotlib.colormaps["tab10"]
_WHITE = 0.4  # of a label's color as a caption, else some are too dark to be read on black
_MARGIN = 4  # pixels beside a line
_FONT_SIZE, _GAP = 11, 12  # pixels; the gap is between texts


@lru_cache(maxsize=32)
def write_line(parts, width, height=36):
    """Return texts side by side on black, smaller where they would not fit.

    Args:
        parts: ((text, its color as Pillow takes it), ...).
        width, height: pixels.

    Returns:
        uint8 (height, width, 3).
    """
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1))).textbbox
    parts = [(spell(text), color) for text, color in parts]
    fonts = [ImageFont.truetype(find_font(text), _FONT_SIZE) for text, _ in parts]
    lengths = [
        round(measure((0, 0), text, font)[2]) for (text, _), font in zip(parts, fonts, strict=True)
    ]
    line = Image.new("RGB", (max(sum(lengths) + _GAP * (len(parts) - 1), 1), height))
    left, draw = 0, ImageDraw.Draw(line)
    for (text, color), font, length in zip(parts, fonts, lengths, strict=True):
        place = (left + length / 2, height / 2)
        draw.text(place, text, color, font, anchor="mm", align="center")
        left += length + _GAP
    line.thumbnail((max(width - 2 * _MARGIN, 1), height), Image.Resampling.LANCZOS)
    image = Image.new("RGB", (width, height))
    image.paste(line, ((width - line.width) // 2, (height - line.height) // 2))
    return np.asarray(image)


def _place_lanes(intervals):
    """Return the lane of each interval, so that no two overlap in one."""
    ends, lanes = [], []
    for each in intervals:
        free = (lane for lane, end in enumerate(ends) if end <= each.start)
        lane = next(free, len(ends))
        ends[lane:] = [each.end, *ends[lane + 1 :]]
        lanes.append(lane)
    return lanes


def color_labels(intervals):
    """Return {label: its color, float (3,) from 0 to 1}, in the order of the intervals."""
    labels = dict.fromkeys(each.label for each in intervals)
    return {label: np.array(_LABEL_COLORS(place % 10)[:3]) for place, label in enumerate(labels)}


def draw_timeline(intervals, duration, width, height=24):
    """Draw intervals from left to right, a color a label, those that overlap one over another.

    Args:
        intervals: list of `utils.scores.intervals.Interval`, by their starts.
        duration: seconds of the whole width.
        width, height: pixels.

    Returns:
        (uint8 (height, width, 3), {label: its color, from 0 to 1}).
    """
    colors = color_labels(intervals)
    bar, lanes = np.full((height, width, 3), 40, np.uint8), _place_lanes(intervals)
    edges = np.linspace(0, height, max(lanes, default=0) + 2).astype(int)
    for each, lane in zip(intervals, lanes, strict=True):
        left, right = (round(seconds / duration * width) for seconds in (each.start, each.end))
        rows = slice(edges[lane], max(edges[lane] + 1, edges[lane + 1] - 1))
        bar[rows, left : max(right - 1, left + 1)] = 255 * colors[each.label]
    return bar, colors


def _caption(interval, colors):
    """Return (text, color) of an interval."""
    color = 255 * (_WHITE + (1 - _WHITE) * colors[interval.label])
    return f"{interval.label} {interval.score:.2f}", tuple(color.round().astype(int).tolist())


def caption_frames(frames, intervals, duration):
    """Add to frames the labels of their moment and a timeline with a mark where they are.

    Args:
        frames: iterable of (seconds, uint8 RGB (height, width, 3)).
        intervals: list of `utils.scores.intervals.Interval`, by their starts.
        duration: seconds of the video.

    Yields:
        uint8 (height + 60, width, 3), even sides.
    """
    bar = None
    for seconds, frame in frames:
        frame = frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2]
        width = frame.shape[1]
        if bar is None:
            bar, colors = draw_timeline(intervals, duration, width)
        now = [each for each in intervals if each.start <= seconds < each.end]
        line = write_line(tuple(_caption(each, colors) for each in now), width)
        marked = bar.copy()
        place = min(round(seconds / duration * width), width - 2)
        marked[:, place : place + 2] = 255
        yield np.concatenate([frame, line, marked])


def save_captions(path, source, intervals, duration, subtitles=False):
    """Write a video with its labels and a timeline.

    Args:
        path: an .mp4, .avi or .webm.
        source: the video's path.
        intervals, duration: as in `caption_frames`.
        subtitles: whether a label stays until the next one begins, as glosses should.

    Raises:
        VideoError: the video cannot be read, or the file cannot be written.
    """
    video = probe(source)
    if subtitles:
        ends = [*(each.start for each in intervals[1:]), duration]
        intervals = [each._replace(end=end) for each, end in zip(intervals, ends, strict=True)]
    side = min(_CAPTIONED, video.height, video.width)
    frames = resized_frames(video, range(video.num_frames), side)
    captioned = caption_frames(zip(video.frame_times, frames, strict=True), intervals, duration)
    with atomic_path(path) as temporary:
        write_video(temporary, captioned, video.fps)
